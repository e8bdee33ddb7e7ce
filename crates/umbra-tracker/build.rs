//! Compiles the programs for the kernel.
use std::{env, error::Error, path::PathBuf, process::Command};

const SOURCE: &str = "src/bpf/tracker.bpf.c";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-env-changed=CLANG");
    let var = |name| env::var(name).map_err(|_| format!("{name} is not set"));
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let object = PathBuf::from(var("OUT_DIR")?).join("tracker.bpf.o");
    let status = Command::new(&clang)
        // Only with -g are there type descriptions (BTF); without a folder in
        // them the object is the same wherever it is built.
        .args(["-target", "bpf", "-O2", "-g", "-Wall", "-Werror"])
        .arg("-fdebug-compilation-dir=.")
        // libbpf's own headers, from its crate: none of the kernel's are needed.
        .arg(format!("-I{}", var("DEP_BPF_INCLUDE")?))
        .args(["-c", SOURCE, "-o"])
        .arg(&object)
        .status()
        .map_err(|error| format!("the programs for the kernel need {clang} to compile: {error}"))?;
    if !status.success() {
        return Err(format!("{clang} could not compile {SOURCE}: {status}").into());
    }
    Ok(())
}
