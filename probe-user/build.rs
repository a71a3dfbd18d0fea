//! Embeds the kernel programs that `cargo xtask build` compiled, and names the build.
//!
//! Without `NODEPROBE_BPF_OBJECT` an empty object is embedded, so that `cargo clippy` and editors
//! work without the BPF toolchain; such a binary says so when it is asked to run.

use std::{env, error::Error, fs, path::Path, process::Command};

use sha2::{Digest, Sha256};

/// Bytes of a digest that are shown.
const SHORT: usize = 6;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=NODEPROBE_BPF_OBJECT");
    let out = Path::new(&env::var("OUT_DIR")?).join("nodeprobe.bpf.o");
    match env::var("NODEPROBE_BPF_OBJECT") {
        Ok(path) => {
            println!("cargo::rerun-if-changed={path}");
            embed(Path::new(&path), &out)?;
        }
        Err(_) => fs::write(&out, [])?,
    }
    println!("cargo::rustc-env=NODEPROBE_PROGRAMS={}", digest(&fs::read(&out)?));
    println!("cargo::rustc-env=NODEPROBE_REVISION={}", revision());
    // HEAD names a branch and stays the same when that moves; the log of it does not. A path that is
    // not there would make every build a new one, and .git is a file in a worktree.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file]);
        if let Some(path) = path.filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    Ok(())
}

/// What tells these kernel programs from others.
fn digest(object: &[u8]) -> String {
    if object.is_empty() {
        return "none".to_owned();
    }
    Sha256::digest(object).iter().take(SHORT).map(|byte| format!("{byte:02x}")).collect()
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
    git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into())
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = output.status.success().then(|| String::from_utf8(output.stdout).ok())??;
    Some(text.trim().to_owned())
}
