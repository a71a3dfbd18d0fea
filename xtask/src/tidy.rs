//! `cargo xtask tidy`: what can be checked without running anything.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::{artifacts, paths, run};

const MAX_LINES: usize = 300;

/// A named check.
type Check = (&'static str, fn() -> Result<()>);

/// All checks.
pub const CHECKS: &[Check] = &[
    ("formatting", formatting),
    ("lints", lints),
    ("lints of the BPF programs", bpf_lints),
    ("file lengths", lengths),
];

/// Runs all checks; returns 0 when none complains.
pub fn all() -> i32 {
    let mut status = 0;
    for (name, check) in CHECKS {
        match check() {
            Ok(()) => println!("{name} ... ok"),
            Err(error) => {
                println!("{name} ... FAILED\n{error:#}");
                status = 1;
            }
        }
    }
    status
}

fn formatting() -> Result<()> {
    run::step("cargo fmt", run::cargo().args(["fmt", "--all", "--check", "--", "--color=never"]))
        .map(drop)
}

fn lints() -> Result<()> {
    let mut clippy = run::cargo();
    // Those of the servers are no part of an ordinary `cargo test`, and so not of all targets.
    clippy.args(["clippy", "--all-targets", "--test", "backends"]);
    artifacts::env_of_object(&mut clippy);
    clippy.args(["--", "--deny", "warnings"]);
    run::step("cargo clippy", &mut clippy).map(drop)
}

/// Checked as programs of this machine: every clippy can do that, and the code is the same.
fn bpf_lints() -> Result<()> {
    let mut clippy = run::cargo();
    clippy
        .args(["clippy", "--package", "probe-ebpf", "--package", "classifier"])
        .args(["--target", artifacts::HOST_TARGET, "--", "--deny", "warnings"])
        .env("CARGO_TARGET_DIR", paths::target().join("bpf"))
        // The programs have no unwinding, and the host's core library would want it.
        .env("CARGO_PROFILE_DEV_PANIC", "abort")
        .env("RUSTFLAGS", artifacts::ARCH_CFG);
    run::step("cargo clippy of the BPF programs", &mut clippy).map(drop)
}

fn lengths() -> Result<()> {
    let mut long = Vec::new();
    let root = paths::root();
    for file in rust_files(&root)? {
        let lines = fs::read_to_string(&file)?.lines().count();
        if lines > MAX_LINES {
            let shown = file.strip_prefix(&root).unwrap_or(&file);
            long.push(format!("    {}: {lines} lines", shown.display()));
        }
    }
    if !long.is_empty() {
        long.sort();
        bail!("Rust files over {MAX_LINES} lines, split them:\n{}", long.join("\n"));
    }
    Ok(())
}

fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_symlink() || name.starts_with('.') || name == "target" {
            continue;
        } else if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}
