//! Kubernetes's own API server and the etcd behind it, for what the agent asks of them. The server is built
//! from the source package of Debian with Debian's Go, once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{apt::Apt, cache, go::Go, run};

/// What of Debian they are from, and built with.
const SUITE: &str = "bookworm";
const GO: &str = "1.19";
const SOURCE: &str = "kubernetes";
const ETCD: &str = "etcd-server";
/// The upstream version that this suite has.
pub const VERSION: &str = "1.20.2";
/// Import path of the source, and of the program in it.
const IMPORT: &str = "k8s.io/kubernetes";
const PROGRAM: &str = "./cmd/kube-apiserver";
/// Says which version it is; without it the server takes itself for none.
const VARIABLES: &str = "k8s.io/component-base/version";

/// Builds it, unless it is there.
pub fn get() -> Result<()> {
    let recipe = format!("{SUITE} {GO} {SOURCE} {VERSION} {ETCD}");
    let made = cache::entry("servers/kubernetes", &recipe, make);
    made.context("cannot build Kubernetes's API server")?;
    Ok(())
}

fn make(into: &Path) -> Result<()> {
    let scratch = into.join(".go");
    let apt = Apt::open(&scratch, SUITE)?;
    etcd(&apt, &scratch, into)?;
    let go = Go::fetch(&apt, &scratch, GO, &[])?;
    let source = go.source(IMPORT);
    fs::create_dir_all(&source)?;
    let files = apt.source(SOURCE)?;
    let is_upstream = |file: &&PathBuf| file.to_string_lossy().contains(".orig.tar.");
    let upstream = files.iter().find(is_upstream).context("the source package has no source")?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(upstream);
    tar.args(["--strip-components=1", "--directory"]).arg(&source);
    run::step("unpacking the source", &mut tar)?;
    let values = [("gitMajor", "1"), ("gitMinor", "20"), ("gitVersion", &format!("v{VERSION}"))];
    let values =
        values.map(|(name, value)| format!("-X {IMPORT}/vendor/{VARIABLES}.{name}={value}"));
    let flags = format!("-ldflags=-s -w {}", values.join(" "));
    go.build(&source, PROGRAM, &[&flags], &into.join("kube-apiserver"))?;
    go.remove()
}

/// A program without libraries.
fn etcd(apt: &Apt, scratch: &Path, into: &Path) -> Result<()> {
    let tree = scratch.join("etcd");
    for package in apt.download("fetching etcd", &[ETCD])? {
        let mut dpkg = Command::new("dpkg-deb");
        run::step("unpacking etcd", dpkg.arg("--extract").arg(package).arg(&tree))?;
    }
    let program = tree.join("usr/bin/etcd");
    fs::rename(&program, into.join("etcd")).context("Debian's package has no /usr/bin/etcd")
}
