//! What is built: two BPF objects, then the static agent with the first of them inside and the static scenario runner.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{paths, run, toolchain};

const BPF_TARGET: &str = "bpfel-unknown-none";
/// aya-ebpf's bindings differ by the architecture the programs will run on.
pub const ARCH_CFG: &str = "--cfg=bpf_target_arch=\"x86_64\"";
/// The target of everything that is no BPF program.
pub const HOST_TARGET: &str = "x86_64-unknown-linux-gnu";
/// Tells the agent's build and the object's tests where the object is.
const OBJECT_ENV: &str = "NODEPROBE_BPF_OBJECT";

/// The built files.
pub struct Artifacts {
    /// The agent's kernel programs.
    pub object: PathBuf,
    /// The `tc` filter that scenarios attach.
    pub classifier: PathBuf,
    /// The agent.
    pub agent: PathBuf,
    /// The scenario runner, which is also the guest's PID 1.
    pub scenario: PathBuf,
}

/// Builds everything that changed.
pub fn build() -> Result<Artifacts> {
    let (object, classifier) = build_bpf()?;
    let mut cargo = run::cargo();
    cargo
        .args(["build", "--release", "--target", HOST_TARGET])
        .args(["--package", "probe-user", "--package", "scenarios"])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env(OBJECT_ENV, &object);
    run::step("building the agent and the scenarios", &mut cargo)?;
    let out = paths::target().join(HOST_TARGET).join("release");
    Ok(Artifacts {
        object,
        classifier,
        agent: out.join("nodeprobe"),
        scenario: out.join("scenario"),
    })
}

fn build_bpf() -> Result<(PathBuf, PathBuf)> {
    let toolchain = toolchain::get()?;
    let target = paths::target().join("bpf");
    let mut linker = OsString::from("-Clinker=");
    linker.push(&toolchain.linker);
    let mut flags = OsString::new();
    for flag in [linker, "-Clink-arg=--btf".into(), "-Cdebuginfo=2".into(), ARCH_CFG.into()] {
        if !flags.is_empty() {
            flags.push("\x1f");
        }
        flags.push(flag);
    }
    let mut cargo = run::cargo();
    toolchain.apply(&mut cargo);
    cargo
        .args(["build", "--release", "--target", BPF_TARGET, "-Zbuild-std=core"])
        .args(["--package", "probe-ebpf", "--package", "classifier"])
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags);
    run::step("building the BPF objects", &mut cargo)?;
    let built = target.join(BPF_TARGET).join("release");
    let object = object();
    let classifier = target.join("classifier.bpf.o");
    publish(&built.join("nodeprobe-ebpf"), &object)?;
    publish(&built.join("classifier"), &classifier)?;
    Ok((object, classifier))
}

fn object() -> PathBuf {
    paths::target().join("bpf/nodeprobe.bpf.o")
}

/// Gives a command the environment of a build, so that it compiles nothing anew.
pub fn env_of_object(cargo: &mut Command) {
    let object = object();
    if object.exists() {
        cargo.env(OBJECT_ENV, object);
    }
}

/// Copies a file when it changed: what embeds it is rebuilt by its time stamp.
fn publish(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(to, content).with_context(|| format!("cannot write {}", to.display()))
}

impl Artifacts {
    /// Passes the files' paths to a program that tests them.
    pub fn export(&self, command: &mut Command) {
        command
            .env(OBJECT_ENV, &self.object)
            .env("NODEPROBE_CLASSIFIER", &self.classifier)
            .env("NODEPROBE_BIN", &self.agent)
            .env("NODEPROBE_SCENARIO", &self.scenario);
    }

    /// Prints paths and sizes.
    pub fn print(&self) -> Result<()> {
        let root = paths::root();
        for file in [&self.object, &self.classifier, &self.agent, &self.scenario] {
            let shown = file.strip_prefix(&root).unwrap_or(file);
            println!("{:>7} KiB  {}", fs::metadata(file)?.len().div_ceil(1024), shown.display());
        }
        Ok(())
    }
}
