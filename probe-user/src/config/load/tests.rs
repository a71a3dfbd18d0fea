use proptest::prelude::*;

use super::*;
use crate::sinks::kinds::{KINDS, SinkConfig};

fn error(text: &str) -> String {
    parse("n.toml", text).expect_err("must be refused").to_string()
}

#[test]
fn empty_is_the_default_and_the_default_reads_back() {
    assert_eq!(parse("n.toml", "").unwrap(), Config::default());
    let text = toml::to_string(&Config::default()).unwrap();
    assert_eq!(parse("n.toml", &text).unwrap(), Config::default());
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let text = include_str!("../../../../deploy/nodeprobe.toml");
    assert_eq!(parse("nodeprobe.toml", text).unwrap(), Config::default());
}

/// What is commented out has no space behind its #.
#[test]
fn what_the_shipped_file_shows_commented_out_is_right_too() {
    let text = include_str!("../../../../deploy/nodeprobe.toml");
    let shown = |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).is_some();
    let lines = text.lines().map(|line| if shown(line) { &line[1..] } else { line });
    let config = parse("nodeprobe.toml", &lines.collect::<Vec<_>>().join("\n")).unwrap();
    let kinds: Vec<_> = config.sinks.0.values().flat_map(SinkConfig::kinds).collect();
    let missing: Vec<_> = KINDS.iter().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "no example of {missing:?}");
}

#[test]
fn mistakes_name_file_line_key_and_what_is_allowed() {
    for (text, expected) in [
        (
            "[tc]\nwindow = 60\n",
            "n.toml:2: tc.window: invalid type: integer `60`, expected a string",
        ),
        (
            "[tc]\n\nwindow = \"0s\"\n",
            "n.toml:3: tc.window: \"0s\" is not a duration from \"1s\" to \"7d\"",
        ),
        (
            "[tc]\nwarn_writes = 0\n",
            "n.toml:2: tc.warn_writes: 0 is not a whole number from 1 to 10000",
        ),
        ("[tc]\nwarn_writes = -3\n", "n.toml:2: tc.warn_writes: -3 is not a whole number"),
        (
            "[tc]\nwarm_writes = 4\n",
            "n.toml:2: tc.warm_writes: unknown field `warm_writes`, expected one of `window`, `warn_writes`",
        ),
        (
            "[metrics]\ntls_cert = \"a\"\n",
            "n.toml:2: metrics.tls_cert: it needs a tls_key beside it",
        ),
        ("[tcc]\n", "n.toml:1: tcc: unknown field `tcc`, expected one of `output`"),
        (
            "[output]\nformat = \"xml\"\n",
            "n.toml:2: output.format: unknown variant `xml`, expected one of `auto`, `human`, `json`",
        ),
        (
            "[metrics]\nlisten = \"localhost\"\n",
            "n.toml:2: metrics.listen: \"localhost\" is not an address and port such as 127.0.0.1:9477, nor \"none\"",
        ),
        (
            "[tc]\nwarn_writes = 9\ncritical_writes = 5\n",
            "n.toml:3: tc.critical_writes: 5 is below warn_writes (9)",
        ),
        (
            "[netlink]\ncritical_open = 10\n",
            "n.toml:2: netlink.critical_open: 10 is below warn_open (64)",
        ),
        ("[tc\n", "n.toml:1: "),
    ] {
        let got = error(text);
        assert!(got.starts_with(expected), "{text:?}\n got  {got}\n want {expected}");
        assert!(!got.contains('\n'), "one line: {got:?}");
    }
}

#[test]
fn a_missing_file_says_what_to_do() {
    let error = load(Path::new("/nonexistent/nodeprobe.toml")).expect_err("must be refused");
    assert!(error.to_string().contains("check the path"), "{error}");
}

proptest! {
    #[test]
    fn never_panics(text in "(\\[(tc|fork|netlink|metrics|x)\\]\n)?([a-z_]{1,16} ?= ?[\"0-9a-z\\[\\]{}.,-]{0,12}\n){0,4}") {
        let _ = parse("n.toml", &text);
    }

    #[test]
    fn never_panics_on_any_text(text in any::<String>()) {
        let _ = parse("n.toml", &text);
    }
}
