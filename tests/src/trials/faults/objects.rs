//! BPF objects that the kernel has, as bpftool lists them.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::exec;

/// Kinds of objects, as bpftool names them.
const KINDS: [&str; 4] = ["prog", "link", "map", "btf"];
/// The type of the programs that `tc` loads.
const CLASSIFIER: &str = "sched_cls";

#[derive(Deserialize)]
struct Shown {
    #[serde(default, rename = "type")]
    kind: Option<serde_json::Value>,
    #[serde(default)]
    name: String,
}

/// How many objects there are of each kind, type and name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Objects(BTreeMap<(&'static str, String, String), usize>);

impl Objects {
    /// All there are now.
    pub fn list() -> Result<Self> {
        let mut objects = BTreeMap::new();
        for kind in KINDS {
            let shown = exec::run("bpftool", &["-j", kind, "show"])?;
            let shown: Vec<Shown> = serde_json::from_str(shown.trim())
                .with_context(|| format!("bpftool {kind} show printed {shown:?}"))?;
            for Shown { kind: of_type, name } in shown {
                // A type that bpftool is too old for is a number.
                let of_type = of_type.map_or_else(String::new, |it| it.to_string());
                *objects.entry((kind, of_type.trim_matches('"').to_owned(), name)).or_default() +=
                    1;
            }
        }
        Ok(Self(objects))
    }

    /// Those that were not there before, without what `tc` loads and what has no name.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let new = self.0.iter().filter_map(|(object, count)| {
            let more = count - before.0.get(object).copied().unwrap_or(0).min(*count);
            let named = object.0 != "btf" && object.1 != CLASSIFIER;
            (more > 0 && named).then(|| (object.clone(), more))
        });
        Self(new.collect())
    }

    /// How many there are of a kind.
    #[must_use]
    pub fn of(&self, kind: &str) -> usize {
        self.0.iter().filter(|((of, ..), _)| *of == kind).map(|(_, count)| count).sum()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().sum()
    }

    /// What is too much here or there, if anything.
    #[must_use]
    pub fn differs_from(&self, other: &Self) -> Option<String> {
        (self != other).then(|| {
            let only = |one: &Self, other: &Self| {
                Self(
                    one.0
                        .iter()
                        .filter(|(o, n)| other.0.get(*o) != Some(n))
                        .map(|(o, n)| (o.clone(), *n))
                        .collect(),
                )
            };
            format!("there are {}, not {}", only(self, other), only(other, self))
        })
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words =
            self.0.iter().map(|((kind, of_type, name), n)| format!("{n} {kind} {of_type} {name}"));
        write!(f, "[{}]", words.collect::<Vec<_>>().join(", "))
    }
}
