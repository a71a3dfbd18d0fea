//! The alerts of deploy/alerts as the PrometheusRule of the Prometheus Operator: the same lines, two steps
//! further in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::paths;

const HEAD: &str = "\
# deploy/alerts as the Prometheus Operator takes it, written by `cargo xtask manifests --write`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: nodeprobe
  labels:
    app.kubernetes.io/name: nodeprobe
spec:
  groups:
";

/// Writes it.
pub fn write() -> Result<()> {
    let file = file();
    fs::write(&file, resource()?).with_context(|| format!("cannot write {}", file.display()))
}

/// Whether it is what deploy/alerts says.
pub fn check() -> Result<()> {
    let there = fs::read_to_string(file()).unwrap_or_default();
    ensure!(
        there == resource()?,
        "the PrometheusRule is not what deploy/alerts says: run `cargo xtask manifests --write`"
    );
    Ok(())
}

fn file() -> PathBuf {
    paths::root().join("deploy/kustomize/components/prometheus-operator/prometheusrule.yaml")
}

fn resource() -> Result<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(paths::root().join("deploy/alerts"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    let mut text = HEAD.to_owned();
    for file in files {
        text.push_str(&groups(&file, &fs::read_to_string(&file)?)?);
    }
    Ok(text)
}

/// The groups of a rules file.
fn groups(file: &Path, text: &str) -> Result<String> {
    let (head, groups) = text
        .split_once("groups:\n")
        .with_context(|| format!("{} has no line `groups:`", file.display()))?;
    ensure!(
        head.lines().all(|line| line.starts_with('#')),
        "{} has more than groups",
        file.display()
    );
    Ok(groups.lines().map(|line| format!("  {line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_go_two_steps_in() {
        let file = Path::new("a.yaml");
        let text = "# About.\ngroups:\n  - name: a\n    rules: []\n";
        assert_eq!(groups(file, text).unwrap(), "    - name: a\n      rules: []\n");
        assert!(groups(file, "rules: []\n").is_err());
        assert!(groups(file, "x: 1\ngroups:\n").is_err());
    }
}
