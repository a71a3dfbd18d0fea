use std::{collections::BTreeSet, fs};

use super::*;
use crate::{config::load::parse, findings::testing::finding, sinks::backend::Reason};

fn args(sink: Option<&str>) -> Args {
    Args { config: None, sink: sink.map(Into::into), timeout: None }
}

#[test]
fn a_record_of_its_own_reaches_each_sink_past_its_filter() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let text = format!(
        "[sinks.a.file]\npath = \"{}\"\n[sinks.a.filter]\nfindings = false\n\
         [sinks.b.file]\npath = \"{}\"\n[sinks.bad.file]\npath = \"{}/no/such\"\n",
        file("a"),
        file("b"),
        file("")
    );
    let config = parse("n.toml", &text).unwrap();
    let one = outcomes(&args(Some("b")), &config).unwrap().collect::<Vec<_>>();
    assert_eq!((one.len(), one[0].taken), (1, true));
    let all = args(None);
    let all: Vec<Outcome> = outcomes(&all, &config).unwrap().collect();
    assert_eq!(all.iter().map(|each| each.taken).collect::<Vec<_>>(), [true, true, false]);
    assert!(all[0].line.starts_with("a: ok in "), "{}", all[0].line);
    assert!(all[2].line.starts_with("bad: sinks.bad: "), "{}", all[2].line);
    let lines = fs::read_to_string(file("a")).unwrap() + &fs::read_to_string(file("b")).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: BTreeSet<&str> = lines.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3, "each has an id of its own");
    assert!(lines.iter().all(|line| line["rule"] == RULE && line["severity"] == "info"));
}

#[test]
fn a_name_that_is_not_there_says_which_are() {
    let config = parse("n.toml", "[sinks.a.file]\npath = \"/a\"\n").unwrap();
    let error = outcomes(&args(Some("b")), &config).err().unwrap();
    assert_eq!(error.to_string(), "there is no sink \"b\" in the configuration; there are a");
    let error = outcomes(&args(Some("b")), &Config::default()).err().unwrap();
    assert!(error.to_string().ends_with("there are none"), "{error}");
    assert_eq!(outcomes(&args(None), &Config::default()).err(), Some(NoSink::None));
}

#[test]
fn every_answer_has_its_words() {
    let trouble = || Trouble { reason: Reason::Auth, text: "who are\x1b[2J\nyou".into() };
    for (answer, taken, words) in [
        (Answer::Taken { said: "202".into() }, true, "ok in 5 ms: 202"),
        (Answer::Each(vec![Verdict::Taken]), true, "ok in 5 ms: taken"),
        (
            Answer::Each(vec![Verdict::Later(trouble())]),
            false,
            "not taken (auth): who are [2J you; the agent would try again",
        ),
        (Answer::Each(vec![Verdict::Refused("no".into())]), false, "refused for good: no"),
        (Answer::Each(Vec::new()), false, "not taken: the answer tells of no record"),
        (Answer::Refused("no".into()), false, "refused for good: no"),
        (Answer::TooLarge("no".into()), false, "refused for good: no"),
        (Answer::Over("closed".into()), false, "can never work: closed"),
    ] {
        let outcome = line("s", Duration::from_millis(5), Ok(answer));
        assert_eq!(outcome, Outcome { taken, line: format!("s: {words}") });
    }
}

#[test]
fn the_record_has_the_keys_of_a_finding() {
    let keys = |json: &str| -> Vec<String> {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        json.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(record().json()), keys(Record::of_finding(finding()).json()));
}
