//! The command `umbra`.

fn main() {}
