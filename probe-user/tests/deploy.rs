//! Alerts and dashboards against what the agent really tells: names of metrics, anchors of pages. That
//! each query returns data is tested with a real Prometheus (tests/tests/backends/prometheus.rs).

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use probe_user::metrics::catalog;
use serde_json::Value;

#[cfg(test)]
fn deploy(folder: &str, kind: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(folder);
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|found| found == kind));
    let all: Vec<_> =
        files.map(|path| (path.clone(), fs::read_to_string(path).expect("text"))).collect();
    assert!(!all.is_empty());
    all
}

/// Names in a text that look like metrics of the agent.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("nodeprobe_") || word.starts_with("process_")).collect()
}

fn exists(name: &str) -> bool {
    let suffixes = ["_bucket", "_sum", "_count"];
    let histogram = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    catalog::all().any(|spec| spec.name == name || Some(spec.name) == histogram)
}

#[test]
fn alerts_and_dashboards_ask_for_metrics_that_there_are() {
    for (file, text) in deploy("alerts", "yaml").iter().chain(&deploy("dashboards", "json")) {
        let names = metrics(text);
        assert!(!names.is_empty(), "{}", file.display());
        let unknown: Vec<_> = names.into_iter().filter(|name| !exists(name)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", file.display());
    }
}

#[test]
fn runbooks_lead_to_sections_that_there_are() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (file, text) in deploy("alerts", "yaml") {
        let alerts = text.matches("- alert: ").count();
        let books: Vec<_> =
            text.lines().filter_map(|line| line.split_once("runbook_url: ")).collect();
        assert_eq!(books.len(), alerts, "{}", file.display());
        for (_, book) in books {
            let (_, page) = book.trim_matches('\'').rsplit_once('/').expect("a URL");
            let (page, anchor) = page.split_once('#').expect("an anchor");
            let page = fs::read_to_string(docs.join(page)).expect("a page of docs/");
            let headings = page
                .lines()
                .filter_map(|line| Some(line.strip_prefix('#')?.trim_matches(['#', ' '])));
            let mut anchors = headings.map(|heading| heading.to_lowercase().replace(' ', "-"));
            // Rules have sections of their names: a test of theirs holds that.
            let there = anchor.starts_with("{{") || anchors.any(|there| there == anchor);
            assert!(there, "{}: {book}", file.display());
        }
    }
}

#[test]
fn dashboards_go_with_every_data_source() {
    let mut titles = BTreeSet::new();
    for (file, text) in deploy("dashboards", "json") {
        let file = file.display();
        let board: Value = serde_json::from_str(&text).expect("JSON");
        assert!(board["uid"].is_null() && board["id"].is_null(), "{file} has an id of its own");
        assert!(titles.insert(board["title"].as_str().expect("a title").to_owned()), "{file}");
        let variables = board["templating"]["list"].as_array().expect("variables");
        let first = variables.first().expect("a variable");
        assert_eq!((&first["name"], &first["type"]), (&"datasource".into(), &"datasource".into()));
        let mut ids = BTreeSet::new();
        for panel in board["panels"].as_array().expect("panels") {
            let title = panel["title"].as_str().expect("a title");
            assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{file}: {title}");
            let place = &panel["gridPos"];
            let number = |key: &str| place[key].as_u64().expect("a number");
            assert!(number("x") + number("w") <= 24 && number("h") > 0, "{file}: {title}");
            if panel["type"] == "row" {
                continue;
            }
            for target in panel["targets"].as_array().expect("queries") {
                let source = &target["datasource"];
                assert_eq!(source["uid"], "${datasource}", "{file}: {title}");
                assert!(!target["expr"].as_str().expect("a query").is_empty(), "{file}: {title}");
            }
        }
    }
}
