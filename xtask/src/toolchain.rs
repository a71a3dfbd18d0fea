//! The compiler and linker for BPF. Both must speak the same LLVM, and the compiler must have its library's source.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{cache, paths, run, setup};

/// Chooses the compiler: `rustup`, `debian`, or unset for whichever is there.
const OVERRIDE: &str = "NODEPROBE_BPF_RUSTC";
const LINKER_VERSION: &str = "0.10.3";
/// The LLVM that this version of bpf-linker is written for.
const LLVM_MAJOR: &str = "22";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "rust-web-src"];

/// How to compile for BPF on this machine.
pub struct Toolchain {
    /// What to call it in messages.
    pub name: String,
    rustc: Rustc,
    /// Where bpf-linker finds the compiler's own LLVM.
    llvm: PathBuf,
    /// The linker.
    pub linker: PathBuf,
}

enum Rustc {
    Rustup(String),
    Debian,
}

impl Toolchain {
    /// Its compiler.
    pub fn rustc(&self) -> Command {
        let mut rustc = Command::new(match &self.rustc {
            Rustc::Rustup(_) => "rustc",
            Rustc::Debian => DEBIAN_RUSTC,
        });
        rustc.env_remove("LD_LIBRARY_PATH");
        if let Rustc::Rustup(name) = &self.rustc {
            rustc.env("RUSTUP_TOOLCHAIN", name);
        }
        rustc
    }

    /// Makes a cargo command use this toolchain.
    pub fn apply(&self, cargo: &mut Command) {
        match &self.rustc {
            Rustc::Rustup(name) => cargo.env("RUSTUP_TOOLCHAIN", name),
            Rustc::Debian => cargo.env("RUSTC", DEBIAN_RUSTC),
        };
        // -Zbuild-std is unstable, and so are aya-ebpf's features; nightly takes this as a no-op.
        cargo.env("RUSTC_BOOTSTRAP", "1").env("LD_LIBRARY_PATH", &self.llvm);
    }
}

/// The toolchain to use; installs what is missing.
pub fn get() -> Result<Toolchain> {
    let wanted = env::var(OVERRIDE).ok();
    let allowed = |name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    let mut found = None;
    if allowed("rustup") {
        found = rustup(has_source).or_else(|| rustup(add_source));
    }
    if found.is_none() && allowed("debian") {
        found = debian();
        if found.is_none() && setup::install(DEBIAN_PACKAGES).is_ok() {
            found = debian();
        }
    }
    let Some((name, rustc, llvm)) = found else {
        bail!(
            "no Rust compiler with LLVM {LLVM_MAJOR} and its library's source: run\n    \
             rustup toolchain install nightly --component rust-src"
        );
    };
    Ok(Toolchain { name, rustc, llvm, linker: linker()? })
}

/// The first of rustup's toolchains that speaks the linker's LLVM and passes the check, nightly before others.
fn rustup(check: fn(&str, &Path) -> bool) -> Option<(String, Rustc, PathBuf)> {
    let list = run::query(Command::new("rustup").args(["toolchain", "list"]))?;
    let mut names: Vec<&str> =
        list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_by_key(|name| !name.starts_with("nightly"));
    names.into_iter().find_map(|name| {
        let rustc = || {
            let mut rustc = Command::new("rustc");
            rustc.env("RUSTUP_TOOLCHAIN", name).env_remove("LD_LIBRARY_PATH");
            rustc
        };
        speaks_llvm(&mut rustc())?;
        let sysroot = PathBuf::from(run::query(rustc().args(["--print", "sysroot"]))?);
        check(name, &sysroot)
            .then(|| (name.to_owned(), Rustc::Rustup(name.to_owned()), sysroot.join("lib")))
    })
}

fn has_source(_name: &str, sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").exists()
}

/// Asks rustup for the source; without a network this must fail soon and quietly.
fn add_source(name: &str, sysroot: &Path) -> bool {
    let mut add = Command::new("timeout");
    add.args(["60", "rustup", "component", "add", "rust-src", "--toolchain", name])
        .env("RUSTUP_MAX_RETRIES", "0");
    run::step(&format!("adding rust-src to {name}"), &mut add).is_ok() && has_source(name, sysroot)
}

/// Debian's own compiler, and a directory where bpf-linker sees only that compiler's LLVM.
fn debian() -> Option<(String, Rustc, PathBuf)> {
    let rustc = || {
        let mut rustc = Command::new(DEBIAN_RUSTC);
        rustc.env_remove("LD_LIBRARY_PATH");
        rustc
    };
    let version = speaks_llvm(&mut rustc())?;
    let sysroot = PathBuf::from(run::query(rustc().args(["--print", "sysroot"]))?);
    if !has_source("", &sysroot) {
        return None;
    }
    let mut numbers = version.split('.');
    let soname = format!("libLLVM.so.{}.{}", numbers.next()?, numbers.next()?);
    let library = Path::new("/usr/lib/x86_64-linux-gnu").join(soname);
    let dir = cache::entry(&format!("tools/llvm-{version}"), &library.to_string_lossy(), |dir| {
        Ok(std::os::unix::fs::symlink(&library, dir.join("libLLVM.so"))?)
    })
    .ok()?;
    fs::metadata(dir.join("libLLVM.so")).ok()?;
    Some((DEBIAN_RUSTC.to_owned(), Rustc::Debian, dir))
}

/// The LLVM version of a compiler that fits the linker.
fn speaks_llvm(rustc: &mut Command) -> Option<String> {
    let version = run::query(rustc.arg("-vV"))?;
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    (llvm.split('.').next() == Some(LLVM_MAJOR)).then(|| llvm.to_owned())
}

fn linker() -> Result<PathBuf> {
    let name = format!("tools/bpf-linker-{LINKER_VERSION}");
    let made = paths::cache()?.join(&name).join("bin/bpf-linker");
    if made.exists() {
        return Ok(made);
    }
    let dir = cache::entry(&name, LINKER_VERSION, |dir| {
        let mut install = run::cargo();
        install
            .args(["install", "--locked", "--version", LINKER_VERSION, "bpf-linker", "--root"])
            .arg(dir);
        // The build output is worth nothing afterwards and would mix with the workspace's.
        install.env("CARGO_TARGET_DIR", dir.join("target"));
        run::step(&format!("building bpf-linker {LINKER_VERSION}"), &mut install)?;
        Ok(fs::remove_dir_all(dir.join("target"))?)
    })?;
    Ok(dir.join("bin/bpf-linker"))
}
