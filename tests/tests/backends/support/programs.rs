//! Where the servers' programs are. `cargo xtask backends` installs them, none of them into the system.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use rustix::process::geteuid;

/// Where they are installed.
pub const VARIABLE: &str = "NODEPROBE_SERVERS";

fn root() -> Result<PathBuf> {
    let root = env::var_os(VARIABLE).with_context(|| {
        format!("{VARIABLE} does not name the installed servers: run `cargo xtask backends`")
    })?;
    Ok(root.into())
}

/// The tree of Debian packages.
pub fn debian() -> Result<PathBuf> {
    Ok(root()?.join("debian"))
}

/// A program of a Debian package, by its path there; run with the libraries that came with it.
pub fn of_debian(path: &str) -> Result<Command> {
    let debian = debian()?;
    let program = debian.join(path);
    ensure!(program.exists(), "{} is not there: run `cargo xtask backends`", program.display());
    let libraries = ["lib", "usr/lib"].map(|lib| debian.join(lib).join("x86_64-linux-gnu"));
    let private = ["lib", "usr/lib"].map(|lib| debian.join(lib).join("x86_64-linux-gnu/systemd"));
    let path = env::join_paths(libraries.iter().chain(&private))?;
    let mut command = Command::new(debian.join("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(path).arg(program);
    Ok(command)
}

/// As [`of_debian`], for one that looks for files of its package below /usr/share: in a mount namespace
/// of its own, where that is the one of the tree.
pub fn at_home(path: &str) -> Result<Command> {
    let program = of_debian(path)?;
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "sh", "-c", "mount --bind \"$0\" /usr/share && exec \"$@\""]);
    command.arg(debian()?.join("usr/share")).arg(program.get_program()).args(program.get_args());
    Ok(command)
}

/// The kubectl of a later Debian: it renders kustomizations as those of supported clusters do.
pub fn kubectl_now() -> Result<Command> {
    let program = root()?.join("kubectl/usr/bin/kubectl");
    ensure!(program.exists(), "{} is not there: run `cargo xtask backends`", program.display());
    Ok(Command::new(program))
}

/// A program of its own: `osmem-server`, `rotel-agent`, `noida-db`, `nats-server`, `victoria-logs`,
/// `kube-apiserver`, `etcd`, `kubectl`.
pub fn program(name: &str) -> Result<Command> {
    let directory = match name {
        "victoria-logs" => name,
        "kube-apiserver" => "kubernetes-api",
        "etcd" | "kubectl" => "kubernetes",
        _ => "programs",
    };
    let program = root()?.join(directory).join(name);
    ensure!(program.exists(), "{} is not there: run `cargo xtask backends`", program.display());
    Ok(Command::new(program))
}
