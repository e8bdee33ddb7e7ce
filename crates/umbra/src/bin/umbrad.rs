//! The service `umbrad`.

fn main() {}
