//! VictoriaLogs, which speaks Loki's push API: Grafana's own Loki is in no registry of programs. Built
//! from the source package of Debian with Debian's Go, once.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{apt::Apt, cache, go::Go, run};

/// What of Debian it is built from and with.
const SUITE: &str = "trixie";
const GO: &str = "1.24";
const SOURCE: &str = "victoriametrics";
/// The upstream version that this suite has.
pub const VERSION: &str = "1.112.0";
/// Import path of the source, and of the program in it.
const IMPORT: &str = "github.com/VictoriaMetrics/VictoriaMetrics";
const PROGRAM: &str = "./app/victoria-logs";
/// Of all that the source package is built with, what this program needs.
const LIBRARIES: &[&str] = &[
    "golang-github-cespare-xxhash-dev",
    "golang-github-golang-snappy-dev",
    "golang-github-klauspost-compress-dev",
    "golang-github-valyala-bytebufferpool-dev",
    "golang-github-valyala-fastjson-dev",
    "golang-github-valyala-fastrand-dev",
    "golang-github-valyala-fasttemplate-dev",
    "golang-github-valyala-gozstd-dev",
    "golang-github-valyala-histogram-dev",
    "golang-github-valyala-quicktemplate-dev",
    "golang-github-victoriametrics-easyproto-dev",
    "golang-github-victoriametrics-fastcache-dev",
    "golang-github-victoriametrics-metrics-dev",
    "golang-github-victoriametrics-metricsql-dev",
    "golang-golang-x-net-dev",
    "golang-golang-x-sys-dev",
    "golang-golang-x-text-dev",
    "golang-gopkg-yaml.v2-dev",
];

/// Builds it, unless it is there.
pub fn get() -> Result<()> {
    let recipe = format!("{SUITE} {GO} {SOURCE} {VERSION} {LIBRARIES:?}");
    cache::entry("servers/victoria-logs", &recipe, make).context("cannot build VictoriaLogs")?;
    Ok(())
}

fn make(into: &Path) -> Result<()> {
    let scratch = into.join(".go");
    let apt = Apt::open(&scratch, SUITE)?;
    let go = Go::fetch(&apt, &scratch, GO, LIBRARIES)?;
    let source = go.source(IMPORT);
    fs::create_dir_all(&source)?;
    let files = apt.source(SOURCE)?;
    let is_upstream = |file: &&std::path::PathBuf| file.to_string_lossy().contains(".orig.tar.");
    let upstream = files.iter().find(is_upstream).context("the source package has no source")?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(upstream);
    // The vendored libraries are incomplete there: those of Debian are used.
    tar.args(["--strip-components=1", "--exclude=vendor", "--directory"]).arg(&source);
    run::step("unpacking the source", &mut tar)?;
    go.build(&source, PROGRAM, &["-ldflags=-s -w"], &into.join("victoria-logs"))?;
    go.remove()
}
