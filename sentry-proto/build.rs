//! Generates the gRPC code. `protox` parses the files, so no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(
        ["agentsentry/v1/feed.proto", "agentsentry/v1/control.proto", "kubelet/pods.proto"],
        ["proto"],
    )?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
