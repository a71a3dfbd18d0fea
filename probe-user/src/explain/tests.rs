use super::*;

fn said(rule: Option<&str>, output: Output) -> String {
    explain(rule, output, &Config::default()).expect("explained")
}

#[test]
fn every_rule_says_everything() {
    let keys = Keys::new(&Config::default());
    for rule in rules() {
        for text in [rule.meaning, rule.computed, rule.false_alarms, rule.advice] {
            assert!(text.len() > 20 && text.ends_with('.'), "{}: {text:?}", rule.name);
        }
        assert!(!rule.keys.is_empty(), "{} depends on no key", rule.name);
        for name in rule.keys.iter().chain(&COMMON) {
            assert!(!keys.get(name).default.is_null(), "{}: no key {name}", rule.name);
            assert!(!keys.get(name).meaning.is_empty(), "{}: {name} means nothing", rule.name);
        }
    }
}

#[test]
fn the_page_is_up_to_date() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rules.md");
    let page = std::fs::read_to_string(file).unwrap_or_default();
    let up_to_date = page == said(None, Output::Markdown);
    assert!(up_to_date, "docs/rules.md is not what the rules say: run `cargo xtask docs`");
}

#[test]
fn a_rule_is_explained_with_its_values() {
    let text = said(Some("tc-rewrite-rate"), Output::Human);
    for part in ["tc.warn_writes = 4\n", "Writes in the window that warn", "RTNL mutex", "3.28.4"] {
        assert!(text.contains(part), "{part:?} not in\n{text}");
    }
    let mut config = Config::default();
    config.tc.warn_writes = 9;
    let text = explain(Some("tc-rewrite-rate"), Output::Human, &config).expect("explained");
    assert!(text.contains("tc.warn_writes = 9 (default 4)\n"), "{text}");
}

#[test]
fn the_list_has_a_line_for_each_rule() {
    let text = said(None, Output::Human);
    assert!(rules().all(|rule| text.lines().any(|line| line.starts_with(rule.name))), "{text}");
}

#[test]
fn json_is_one_rule_or_all() {
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let one = read(&said(Some("fork-failures"), Output::Json));
    assert_eq!(one["keys"][1]["key"], "fork.failures");
    assert_eq!(one["keys"][1]["value"], 5);
    assert_eq!(read(&said(None, Output::Json)).as_array().map(Vec::len), Some(rules().count()));
}

#[test]
fn an_unknown_rule_gets_the_nearest() {
    let config = Config::default();
    let error = explain(Some("fork-failure"), Output::Human, &config).expect_err("unknown");
    let text = error.to_string();
    assert!(text.contains("did you mean fork-failures?"), "{text}");
    assert!(rules().all(|rule| text.contains(rule.name)), "{text}");
}
