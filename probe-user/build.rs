//! Embeds the kernel programs that `cargo xtask build` compiled, and names the build.
//!
//! Without `NODEPROBE_BPF_OBJECT` an empty object is embedded, so that `cargo clippy` and editors
//! work without the BPF toolchain; such a binary says so when it is asked to run.

use std::{env, error::Error, fs, path::Path, process::Command};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=NODEPROBE_BPF_OBJECT");
    let out = Path::new(&env::var("OUT_DIR")?).join("nodeprobe.bpf.o");
    match env::var("NODEPROBE_BPF_OBJECT") {
        Ok(path) => {
            println!("cargo::rerun-if-changed={path}");
            embed(Path::new(&path), &out)?;
        }
        Err(_) => fs::write(out, [])?,
    }
    println!("cargo::rustc-env=NODEPROBE_REVISION={}", revision());
    println!("cargo::rerun-if-changed=../.git/HEAD");
    Ok(())
}

/// Copies the object without its DWARF, which is nine tenths of it: the kernel needs .BTF only.
/// The strip tool comes with rustc; without it the object is embedded as it is.
fn embed(object: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let rustc = env::var("RUSTC")?;
    let libdir = Command::new(rustc).args(["--print", "target-libdir"]).output()?.stdout;
    let objcopy = Path::new(String::from_utf8(libdir)?.trim()).with_file_name("bin/rust-objcopy");
    let stripped = Command::new(objcopy).arg("--strip-debug").args([object, out]).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(object, out).map_err(|error| format!("{}: {error}", object.display()))?;
    }
    Ok(())
}

fn revision() -> String {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let hash = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let hash = hash.and_then(|hash| String::from_utf8(hash).ok());
    hash.map_or_else(|| "unknown".into(), |hash| hash.trim().to_owned())
}
