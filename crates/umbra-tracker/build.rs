//! Compiles the program for the kernel with clang, and writes the Rust type that
//! carries it.
use std::{env, error::Error, path::PathBuf};

const SOURCE: &str = "src/bpf/tracker.bpf.c";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={SOURCE}");
    let var = |name| env::var(name).map_err(|_| format!("{name} is not set"));
    let skeleton = PathBuf::from(var("OUT_DIR")?).join("tracker.skel.rs");
    // libbpf's own headers, from its crate: none of the kernel's are needed.
    let include = format!("-I{}", var("DEP_BPF_INCLUDE")?);
    libbpf_cargo::SkeletonBuilder::new()
        .clang_args([include.as_str(), "-Wall", "-Werror"])
        .source(SOURCE)
        .build_and_generate(&skeleton)?;
    Ok(())
}
