//! checkov's opinion: what it finds is mended, or excused in the manifest with a reason.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{kustomization::Kustomization, tools::Tools};

/// Annotations `checkov.io/skipN: ID=REASON`.
const EXCUSE: &str = "checkov.io/skip";

/// A finding: the check's id, and what it is about (`DaemonSet.nodeprobe.nodeprobe`).
type Found = (String, String);

#[derive(Deserialize)]
struct Report {
    results: Results,
}

#[derive(Deserialize)]
struct Results {
    failed_checks: Vec<Failed>,
}

#[derive(Deserialize)]
struct Failed {
    check_id: String,
    check_name: String,
    resource: String,
    file_path: String,
}

/// Says what is wrong with each of some kustomizations, rendered in a directory.
pub fn check(
    tools: &Tools,
    directory: &Path,
    all: &[Kustomization],
) -> Result<Vec<(String, String)>> {
    // Without its excuses: one that excuses nothing any more is wrong too.
    let bare = directory.join("bare");
    fs::create_dir(&bare)?;
    for Kustomization { name, text, .. } in all {
        fs::write(bare.join(format!("{name}.yaml")), without_excuses(text))?;
    }
    let mut checkov = tools.python();
    checkov.args(["-m", "checkov.main", "--framework", "kubernetes", "--skip-download"]);
    checkov.args(["--output", "json", "--quiet", "--compact", "--soft-fail", "--directory"]);
    let output = checkov.arg(&bare).output().context("cannot run checkov")?;
    let report: Report = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("checkov has no report: {}", String::from_utf8_lossy(&output.stderr).trim())
    })?;
    Ok(all.iter().flat_map(|one| wrong(one, &report.results.failed_checks)).collect())
}

fn wrong(one: &Kustomization, failed: &[Failed]) -> Vec<(String, String)> {
    let file = format!("/{}.yaml", one.name);
    let excuses: BTreeSet<Found> = one.documents.iter().flat_map(excused).collect();
    let mut found = BTreeSet::new();
    let mut wrong = Vec::new();
    for Failed { check_id, check_name, resource, .. } in
        failed.iter().filter(|failed| failed.file_path.ends_with(&file))
    {
        let this = (check_id.clone(), resource.clone());
        if !excuses.contains(&this) {
            wrong.push(format!("checkov: {resource}: {check_id}: {check_name}"));
        }
        found.insert(this);
    }
    wrong.extend(excuses.difference(&found).map(|(id, resource)| {
        format!("checkov: {resource}: {id} is excused and not found: take {EXCUSE} out")
    }));
    wrong.into_iter().map(|why| (one.name.clone(), why)).collect()
}

/// What a document excuses, for which there must be a reason.
fn excused(document: &Value) -> Vec<Found> {
    let metadata = &document["metadata"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let namespace = metadata["namespace"].as_str().unwrap_or("default");
    let resource = format!("{}.{namespace}.{}", word(&document["kind"]), word(&metadata["name"]));
    let annotations = metadata["annotations"].as_object().into_iter().flatten();
    annotations
        .filter(|(key, _)| key.starts_with(EXCUSE))
        .filter_map(|(_, value)| value.as_str()?.split_once('='))
        .filter(|(_, reason)| !reason.trim().is_empty())
        .map(|(id, _)| (id.to_owned(), resource.clone()))
        .collect()
}

/// A rendering without excuses, which kubectl folds into indented lines when they are long.
fn without_excuses(text: &str) -> String {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut within = None;
    let kept = text.lines().filter(|line| {
        if within.is_some_and(|within| depth(line) > within) {
            return false;
        }
        within = line.trim_start().starts_with(EXCUSE).then(|| depth(line));
        within.is_none()
    });
    kept.map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failed(check_id: &str) -> Failed {
        let word = str::to_owned;
        Failed {
            check_id: word(check_id),
            check_name: word("x"),
            resource: word("Pod.n.p"),
            file_path: word("/base.yaml"),
        }
    }

    fn pod(annotations: &Value) -> Kustomization {
        let metadata = json!({"name": "p", "namespace": "n", "annotations": annotations});
        Kustomization {
            name: "base".to_owned(),
            text: String::new(),
            documents: vec![json!({"kind": "Pod", "metadata": metadata})],
        }
    }

    #[test]
    fn an_excuse_is_for_one_finding_and_no_more() {
        let none = pod(&json!({}));
        assert_eq!(wrong(&none, &[failed("A")]).len(), 1);
        assert!(wrong(&none, &[]).is_empty());
        let one = pod(&json!({"checkov.io/skip1": "A=because", "else": "B=because"}));
        assert!(wrong(&one, &[failed("A")]).is_empty());
        assert_eq!(wrong(&one, &[]).len(), 1, "it excuses nothing");
        assert_eq!(wrong(&one, &[failed("A"), failed("B")]).len(), 1);
        let no_reason = pod(&json!({"checkov.io/skip1": "A="}));
        assert_eq!(wrong(&no_reason, &[failed("A")]).len(), 1);
    }

    #[test]
    fn folded_excuses_go_as_a_whole() {
        let text = "  annotations:\n    checkov.io/skip1: A=b\n      c\n    checkov.io/skip2: D=e\n    f: g\n";
        assert_eq!(without_excuses(text), "  annotations:\n    f: g\n");
    }
}
