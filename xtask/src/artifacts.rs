//! What is built: two BPF objects, then the static agent with the first of them inside and the static scenario runner.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{paths, remap, run, toolchain};

const BPF_TARGET: &str = "bpfel-unknown-none";
/// aya-ebpf's bindings differ by the architecture the programs will run on.
pub const ARCH_CFG: &str = "--cfg=bpf_target_arch=\"x86_64\"";
/// The target of everything that is no BPF program.
pub const HOST_TARGET: &str = "x86_64-unknown-linux-gnu";
/// Tells the agent's build and the object's tests where the object is.
const OBJECT_ENV: &str = "NODEPROBE_BPF_OBJECT";
/// The kernel programs, in the output of their build.
const OBJECT: &str = "nodeprobe.bpf.o";
/// Takes flags of any characters, apart from the separator.
const RUSTFLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";

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

/// A copy of the sources, and where what is built from it goes.
pub struct Place {
    root: PathBuf,
    target: PathBuf,
}

/// Builds everything that changed.
pub fn build() -> Result<Artifacts> {
    Place { root: paths::root(), target: paths::target() }.build()
}

impl Place {
    /// A checkout other than the workspace of this xtask.
    pub fn other(root: &Path) -> Self {
        Self { root: root.to_owned(), target: root.join("target") }
    }

    /// Builds everything that changed.
    pub fn build(&self) -> Result<Artifacts> {
        let (object, classifier) = self.build_bpf()?;
        let rustc = || {
            let mut rustc = Command::new("rustc");
            rustc.current_dir(&self.root);
            rustc
        };
        let own = ["-Ctarget-feature=+crt-static".into()];
        let mut cargo = run::cargo();
        cargo
            .current_dir(&self.root)
            .args(["build", "--release", "--target", HOST_TARGET])
            .args(["--package", "probe-user", "--package", "scenarios"])
            .env("CARGO_TARGET_DIR", &self.target)
            .env(RUSTFLAGS, remap::flags(rustc, &self.root, &self.target, &own)?)
            .env(OBJECT_ENV, &object);
        run::step("building the agent and the scenarios", &mut cargo)?;
        let out = self.target.join(HOST_TARGET).join("release");
        Ok(Artifacts {
            object,
            classifier,
            agent: out.join("nodeprobe"),
            scenario: out.join("scenario"),
        })
    }

    fn build_bpf(&self) -> Result<(PathBuf, PathBuf)> {
        let toolchain = toolchain::get()?;
        let target = self.target.join("bpf");
        let mut linker = OsString::from("-Clinker=");
        linker.push(&toolchain.linker);
        let own = [linker, "-Clink-arg=--btf".into(), "-Cdebuginfo=2".into(), ARCH_CFG.into()];
        let flags = remap::flags(|| toolchain.rustc(), &self.root, &target, &own)?;
        let mut cargo = run::cargo();
        toolchain.apply(&mut cargo);
        cargo
            .current_dir(&self.root)
            .args(["build", "--release", "--target", BPF_TARGET, "-Zbuild-std=core"])
            .args(["--package", "probe-ebpf", "--package", "classifier"])
            .env("CARGO_TARGET_DIR", &target)
            .env(RUSTFLAGS, flags);
        run::step("building the BPF objects", &mut cargo)?;
        let built = target.join(BPF_TARGET).join("release");
        let object = target.join(OBJECT);
        let classifier = target.join("classifier.bpf.o");
        publish(&built.join("nodeprobe-ebpf"), &object)?;
        publish(&built.join("classifier"), &classifier)?;
        Ok((object, classifier))
    }
}

/// Gives a command the environment of a build, so that it compiles nothing anew.
pub fn env_of_object(cargo: &mut Command) {
    let object = paths::target().join("bpf").join(OBJECT);
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
