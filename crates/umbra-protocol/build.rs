//! Generates the types of the wire from the .proto files, with a compiler
//! written in Rust, so that no system `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "types",
        "components",
        "requester",
        "writer",
        "admin",
        "management",
    ]
    .map(|name| format!("proto/umbra/v1/{name}.proto"));
    for file in &files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(&files, ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
