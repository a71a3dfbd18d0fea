//! Which records there must be: each has an id of its own, the finding's and its revision.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Id of the record that a finding's JSON is.
pub fn id_of(finding: &Value) -> Result<String> {
    let id = finding["id"].as_str().context("no finding: it has no id")?;
    let revision = finding["revision"].as_u64().context("no finding: it has no revision")?;
    Ok(format!("{id}-{revision}"))
}

/// Ids of the records on lines of JSON.
pub fn ids_of_lines(lines: &str) -> Result<Vec<String>> {
    lines.lines().map(id_of_line).collect()
}

/// Id of the record on a line of JSON.
pub fn id_of_line(line: &str) -> Result<String> {
    id_of(&serde_json::from_str(line).with_context(|| format!("no JSON: {line:?}"))?)
}

/// Fails unless all of `expected` arrived, and the revisions of each finding in their order. Records may
/// have come more than once: then their first coming counts.
pub fn nothing_lost_nor_reordered(expected: &[String], arrived: &[String]) -> Result<()> {
    let mut first = BTreeMap::new();
    for (place, id) in arrived.iter().enumerate() {
        first.entry(id.as_str()).or_insert(place);
    }
    let missing: Vec<_> = expected.iter().filter(|id| !first.contains_key(id.as_str())).collect();
    if let [one, ..] = missing.as_slice() {
        bail!(
            "{} of {} records never came, the first of them {one}",
            missing.len(),
            expected.len()
        );
    }
    let mut latest = BTreeMap::new();
    for id in expected {
        let finding = id.rsplit_once('-').map_or(id.as_str(), |(finding, _)| finding);
        let place = first[id.as_str()];
        let before = latest.insert(finding, place);
        ensure!(before.is_none_or(|before| before < place), "{id} came before what is older");
    }
    Ok(())
}

/// Fails unless it is exactly what arrived, in any order and without doubles.
pub fn exactly(expected: &[String], arrived: &[String]) -> Result<()> {
    nothing_lost_nor_reordered(expected, arrived)?;
    let (expected, arrived) = (expected.len(), arrived.len());
    ensure!(arrived == expected, "{arrived} records came where {expected} were sent");
    Ok(())
}

#[test]
fn what_is_lost_or_reordered_is_told() {
    let ids = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let judge = |arrived| nothing_lost_nor_reordered(&ids("a-1 b-1 a-2"), &ids(arrived));
    assert!(
        judge("a-1 a-2 a-1 b-1").is_ok(),
        "doubles are fine, and so is another order of findings"
    );
    assert!(judge("a-1 a-2").is_err(), "lost");
    assert!(judge("a-2 a-1 b-1").is_err(), "reordered");
    assert!(exactly(&ids("a-1"), &ids("a-1 a-1")).is_err(), "doubles");
}
