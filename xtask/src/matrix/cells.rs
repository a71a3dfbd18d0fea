//! What came of each scenario in each guest, and the file that remembers it.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use scenarios::report::{Done, Skip, SkipKind, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{BEST, PLAIN, page};
use crate::{paths, play::GuestRun};

/// All cells, in the order they were played.
#[derive(Default, Deserialize, Serialize)]
pub struct Cells {
    cells: Vec<Cell>,
}

/// One scenario in one guest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Cell {
    pub kernel: String,
    pub rung: String,
    pub guest: String,
    pub scenario: String,
    pub end: End,
    /// What was found, or what was wrong; empty where all went well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What was left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skip>,
}

/// How a scenario ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Ok,
    Failed,
    /// Nothing of it could be played.
    Skip,
}

impl Cells {
    fn file() -> PathBuf {
        paths::root().join("docs/matrix.json")
    }

    /// What docs/matrix.json has; nothing where there is none.
    pub fn load() -> Result<Self> {
        let file = Self::file();
        match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is broken: remove it", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Writes docs/matrix.json, and docs/matrix.md from it.
    pub fn save(&self) -> Result<()> {
        // One cell a line: a difference shows what changed.
        let lines: Result<Vec<String>, _> = self.cells.iter().map(serde_json::to_string).collect();
        fs::write(Self::file(), format!("{{\"cells\":[\n{}\n]}}\n", lines?.join(",\n")))?;
        Ok(fs::write(paths::root().join("docs/matrix.md"), page::markdown(self))?)
    }

    /// All of them and their sum.
    pub fn json(&self, total: Done) -> Result<String> {
        Ok(serde_json::to_string(&json!({ "cells": self.cells, "sum": total }))?)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter()
    }

    /// A guest's verdicts, in place of older ones of the same scenarios.
    pub fn add(&mut self, guest: &GuestRun, verdicts: &[Verdict]) {
        let blind = guest.variant.blind.as_ref();
        let left_out = blind.into_iter().flat_map(|blind| {
            let scenarios = scenarios::scenario::ALL.iter().map(|scenario| scenario.name);
            let left_out = scenarios.filter(|name| !blind.plays.contains(name));
            left_out.map(|name| {
                let (part, reason) = ("all".to_owned(), blind.why.to_owned());
                let mut verdict = Verdict::new(name, true, String::new());
                verdict.played = false;
                verdict.skipped.push(Skip { part, kind: SkipKind::NotPlayed, reason });
                verdict
            })
        });
        let left_out: Vec<Verdict> = left_out.collect();
        for verdict in verdicts.iter().chain(&left_out) {
            let cell = Cell::new(guest, verdict);
            match self.cells.iter_mut().find(|old| old.place() == cell.place()) {
                Some(old) => *old = cell,
                None => self.cells.push(cell),
            }
        }
    }
}

impl Cell {
    fn new(guest: &GuestRun, verdict: &Verdict) -> Self {
        let end = match (verdict.pass, verdict.played) {
            (false, _) => End::Failed,
            (true, true) => End::Ok,
            (true, false) => End::Skip,
        };
        Self {
            kernel: guest.series.clone(),
            rung: guest.rung.unwrap_or(BEST).to_owned(),
            guest: guest.variant.label().unwrap_or(PLAIN).to_owned(),
            scenario: verdict.scenario.clone(),
            end,
            detail: if verdict.pass { String::new() } else { verdict.detail.clone() },
            skipped: verdict.skipped.clone(),
        }
    }

    /// Where it is.
    fn place(&self) -> (&str, &str, &str, &str) {
        (&self.kernel, &self.rung, &self.guest, &self.scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play::variant::Variant;

    #[test]
    fn a_newer_verdict_takes_the_place_of_the_older() {
        let guest = GuestRun::new("6.1");
        let mut cells = Cells::default();
        cells.add(&guest, &[Verdict::new("tc-agents", false, "nothing came".to_owned())]);
        cells
            .add(&guest.clone().rung("kprobe"), &[Verdict::new("tc-agents", true, "x".to_owned())]);
        cells.add(&guest, &[Verdict::new("tc-agents", true, String::new())]);
        let ends: Vec<_> = cells.iter().map(|cell| (cell.rung.as_str(), cell.end)).collect();
        assert_eq!(ends, [("best", End::Ok), ("kprobe", End::Ok)]);
    }

    #[test]
    fn a_blind_guest_says_what_it_leaves_out() {
        let guest = GuestRun::new("6.1").variant(Variant::named("no-btf").unwrap());
        let mut cells = Cells::default();
        cells.add(&guest, &[Verdict::new("fd-leak", true, String::new())]);
        let skips = cells.iter().filter(|cell| cell.end == End::Skip).count();
        assert_eq!(skips, scenarios::scenario::ALL.len() - 1);
        assert!(cells.iter().all(|cell| (cell.end == End::Skip) == (cell.scenario != "fd-leak")));
    }
}
