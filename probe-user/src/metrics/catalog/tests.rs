use std::collections::HashSet;

use super::*;
use crate::metrics::Metrics;

#[test]
fn every_metric_says_everything() {
    let mut names = HashSet::new();
    for spec in all() {
        assert!(names.insert(spec.name), "{} twice", spec.name);
        for text in [spec.help, spec.moves] {
            assert!(text.len() > 8 && text.ends_with('.'), "{}: {text:?}", spec.name);
        }
        assert_eq!(spec.name.ends_with("_total"), spec.kind == Kind::Counter, "{}", spec.name);
        assert!(spec.name.starts_with("nodeprobe_") || spec.name.starts_with("process_"));
        assert!(spec.most > 0 && (spec.most == 1 || !spec.labels.is_empty()), "{}", spec.name);
        if let Kind::Histogram(bounds) = spec.kind {
            assert!(bounds.is_sorted() && !spec.unit().is_empty(), "{}", spec.name);
        }
    }
}

#[test]
fn a_node_has_few_series_whatever_happens() {
    let most: usize = all().map(Spec::series).sum();
    assert!(most < MOST_SERIES, "{most} series");
}

#[test]
fn all_that_is_registered_is_as_the_registry_says() {
    let metrics = Metrics::new().expect("metrics");
    let gathered = metrics.registry.gather();
    for family in &gathered {
        let spec = all().find(|spec| spec.name == family.name());
        let spec = spec.unwrap_or_else(|| panic!("{} is not in the registry", family.name()));
        let kind = format!("{:?}", family.get_field_type()).to_lowercase();
        assert_eq!(kind, spec.kind.name(), "{}", spec.name);
        let sets = family.get_metric().len();
        assert!(sets <= spec.most, "{} has {sets} sets of labels, of {}", spec.name, spec.most);
    }
    // Series of these come with what they are about.
    let later = ["sink", "loop", "part", "program", "map", "hook"];
    for spec in all().filter(|spec| !spec.name.starts_with("process_")) {
        let waits = spec.labels.iter().any(|label| later.contains(label));
        let there = gathered.iter().any(|family| family.name() == spec.name);
        assert!(there || waits, "{} is not registered", spec.name);
    }
}

#[test]
fn the_page_is_up_to_date() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let there = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        there == page(),
        "docs/metrics.md is not what the registry says: run `cargo xtask docs`"
    );
}

#[test]
fn the_documents_speak_of_metrics_that_there_are() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    const PAGES: [&str; 6] = [
        "README.md",
        "docs/FAQ.md",
        "docs/KUBERNETES.md",
        "docs/SCALE.md",
        "docs/TROUBLESHOOTING.md",
        "docs/TUNING.md",
    ];
    for page in PAGES {
        let text = std::fs::read_to_string(format!("{root}/{page}")).expect(page);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        // One that ends so stands for several.
        let named = words.filter(|word| word.starts_with("nodeprobe_") && !word.ends_with('_'));
        for word in named {
            // A histogram's own series.
            let name = word.trim_end_matches("_bucket").trim_end_matches("_count");
            assert!(all().any(|spec| spec.name == name || word == spec.name), "{page}: {word}");
        }
    }
}
