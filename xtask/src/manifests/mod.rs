//! `cargo xtask manifests`: what deploy/kustomize makes is what Kubernetes takes, what checkov has nothing
//! against, and what the agent understands.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use clap::Args;
use scenarios::report::Done;
use serde::Deserialize;
use serde_json::Value;

use crate::{artifacts, artifacts::Artifacts, setup, test::Tested};

mod agree;
mod alerts;
mod checkov;
mod kustomization;
mod tools;

use kustomization::Kustomization;
use tools::Tools;
pub use tools::kubectl;

/// Kinds of APIs that are not Kubernetes' own: nobody here has a schema of them.
const OF_OTHERS: &[&str] = &[
    "monitoring.coreos.com/v1 PodMonitor",
    "monitoring.coreos.com/v1 PrometheusRule",
    "security.openshift.io/v1 SecurityContextConstraints",
];
/// The overlay that has the alerts.
const ALERTS: &str = "prometheus-operator";
/// What manifests are for.
const FIRST_VERSION: &str = "1.25.0";
const LAST_VERSION: &str = "1.37.0";

/// What `manifests` is asked for.
#[derive(Args)]
pub struct Manifests {
    /// Writes the PrometheusRule anew from deploy/alerts, and checks nothing
    #[arg(long)]
    write: bool,
}

impl Manifests {
    /// Checks them; returns 0 when nothing is wrong.
    pub fn run(self) -> Result<i32> {
        if self.write {
            return alerts::write().map(|()| 0);
        }
        setup::ensure()?;
        let Tested { count, failed } = all(&artifacts::build()?)?;
        println!("{count}");
        Ok(i32::from(!failed.is_empty()))
    }
}

/// Checks every kustomization; a check of one of them counts as one.
pub fn all(artifacts: &Artifacts) -> Result<Tested> {
    let tools = Tools::get()?;
    // checkov passes over hidden directories.
    let directory = tempfile::Builder::new().prefix("manifests").tempdir()?;
    let mut all = Kustomization::all(&tools)?;
    let mut tested = Tested::default();
    let schemas = read(&tools, directory.path(), &mut all)?;
    tell(&mut tested, &all, "schemas", &schemas);
    tell(&mut tested, &all, "checkov", &checkov::check(&tools, directory.path(), &all)?);
    let mut said = Vec::new();
    for one in &all {
        let wrong = configured(&artifacts.agent, directory.path(), one, &all[0]);
        let wrong = wrong.unwrap_or_else(|error| vec![format!("{error:#}")]);
        said.extend(wrong.into_iter().map(|why| (one.name.clone(), why)));
    }
    tell(&mut tested, &all, "agreement", &said);
    let alerts = alerts::check().err().map(|error| (ALERTS.to_owned(), format!("{error:#}")));
    let overlay: Vec<_> = all.into_iter().filter(|one| one.name == ALERTS).collect();
    tell(&mut tested, &overlay, "alerts", alerts.as_slice());
    Ok(tested)
}

/// Counts a check of all of them, of which it says what is wrong with which.
fn tell(tested: &mut Tested, all: &[Kustomization], check: &str, wrong: &[(String, String)]) {
    for Kustomization { name, .. } in all {
        let wrong: Vec<_> = wrong.iter().filter(|(of, _)| of == name).collect();
        println!("{name}: {check} ... {}", if wrong.is_empty() { "ok" } else { "FAILED" });
        wrong.iter().for_each(|(_, why)| println!("    {why}"));
        tested.count += if wrong.is_empty() { Done::PASSED } else { Done::FAILED };
        tested.failed.extend(wrong.iter().map(|(_, why)| format!("manifests of {name}: {why}")));
    }
}

/// What read.py says.
#[derive(Deserialize)]
struct Reading {
    versions: Vec<String>,
    documents: serde_json::Map<String, Value>,
    wrong: Vec<Wrong>,
    unknown: Vec<String>,
}

#[derive(Deserialize)]
struct Wrong {
    file: String,
    why: String,
}

/// Reads the renderings, and holds them against the schemas of Kubernetes.
fn read(
    tools: &Tools,
    directory: &Path,
    all: &mut [Kustomization],
) -> Result<Vec<(String, String)>> {
    let mut python = tools.python();
    python.args(["-c", include_str!("read.py")]).current_dir(directory);
    for Kustomization { name, text, .. } in all.iter() {
        fs::write(directory.join(name), text)?;
        python.arg(name);
    }
    let output = python.output().context("cannot run python3")?;
    let mut reading: Reading = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("cannot read manifests: {}", String::from_utf8_lossy(&output.stderr).trim())
    })?;
    let ends = [reading.versions.first(), reading.versions.last()];
    ensure!(
        ends == [Some(&FIRST_VERSION.to_owned()), Some(&LAST_VERSION.to_owned())],
        "kubernetes-validate has schemas of {:?}",
        reading.versions
    );
    reading.unknown.retain(|kind| !OF_OTHERS.contains(&kind.as_str()));
    ensure!(reading.unknown.is_empty(), "Kubernetes does not know {}", reading.unknown.join(", "));
    for one in all {
        let documents = reading.documents.get_mut(&one.name).map(Value::take);
        one.documents = serde_json::from_value(documents.context("a file is missing")?)?;
    }
    Ok(reading.wrong.into_iter().map(|Wrong { file, why }| (file, why)).collect())
}

/// Whether the agent understands its configuration, and the rest of the manifest agrees with it.
fn configured(
    agent: &Path,
    directory: &Path,
    one: &Kustomization,
    base: &Kustomization,
) -> Result<Vec<String>> {
    let config = one.config().context("there is no ConfigMap with nodeprobe.toml")?;
    let of_base = base.config().context("the base has no nodeprobe.toml")?;
    ensure!(config.starts_with(of_base), "its nodeprobe.toml does not begin with the base's");
    let file = directory.join("nodeprobe.toml");
    fs::write(&file, config)?;
    let output = Command::new(agent).args(["check-config", "--print"]).arg(&file).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the agent does not take its configuration: {}", said.trim());
    let config: Value = serde_json::from_slice(&output.stdout)?;
    let listen = config["metrics"]["listen"].as_str().unwrap_or_default();
    let (address, port) = listen.rsplit_once(':').context("the agent listens nowhere")?;
    ensure!(address == "0.0.0.0", "probes do not reach {listen}");
    Ok(agree::check(one, env!("CARGO_PKG_VERSION"), port.parse()?))
}
