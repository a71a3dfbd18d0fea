//! The file sink: the simplest of all, and a proof of the harness itself.

use anyhow::Result;

use crate::support::{agent::Agent, capture::capture, ids::ids_of_lines};

#[test]
fn what_is_found_is_in_the_file() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("findings.jsonl");
    let agent = Agent::with_sink("file", &format!("path = {file:?}"))?;
    let run = agent.replay(&capture(20)?)?;
    assert_eq!(run.ids.len(), 40, "each fires and resolves");
    assert_eq!(ids_of_lines(&std::fs::read_to_string(file)?)?, run.ids);
    Ok(())
}

#[test]
fn ten_thousand_are_in_the_file() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("findings.jsonl");
    let agent = Agent::with_sink("file", &format!("path = {file:?}"))?;
    let run = agent.replay(&capture(10_000)?)?;
    assert_eq!(run.ids.len(), 20_000);
    assert_eq!(ids_of_lines(&std::fs::read_to_string(file)?)?, run.ids);
    Ok(())
}
