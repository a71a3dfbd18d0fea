//! Which rungs a hook may use: the best that works, or the one that was asked for.

use std::str::FromStr;

use thiserror::Error;

use super::hook::{Hook, Rung};
use crate::signals::{SIGNALS, Signal};

/// Why a word is no rung to ask for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChoiceError {
    #[error("there is no rung {0:?}; there are {rungs}", rungs = rungs())]
    Rung(String),
    #[error("there is no hook {0:?}; there are {hooks}", hooks = hooks())]
    Hook(String),
    #[error("{hook} has no rung {rung}; it has {has}")]
    NoSuchRung { hook: String, rung: Rung, has: String },
}

/// A rung that was asked for: `RUNG` for every hook, or `SIGNAL/HOOK=RUNG` for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The signal's and the hook's name; every hook without.
    hook: Option<(&'static str, &'static str)>,
    rung: Rung,
}

impl FromStr for Choice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        let Some((name, rung)) = text.split_once('=') else {
            return Ok(Self { hook: None, rung: rung_named(text)? });
        };
        let mut all = SIGNALS.iter().flat_map(|s| s.hooks.iter().map(move |hook| (*s, hook)));
        let found = all.find(|(signal, hook)| full_name(signal, hook) == name);
        let (signal, hook) = found.ok_or_else(|| ChoiceError::Hook(name.to_owned()))?;
        let rung = rung_named(rung)?;
        if hook.steps.iter().all(|step| step.rung != rung) {
            let has = join(hook.steps.iter().map(|step| step.rung.name().to_owned()));
            return Err(ChoiceError::NoSuchRung { hook: name.to_owned(), rung, has });
        }
        Ok(Self { hook: Some((signal.name, hook.name)), rung })
    }
}

/// All that was asked for; a later choice overrides an earlier one for the same hooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices(Vec<Choice>);

impl Choices {
    /// As the command line has them.
    #[must_use]
    pub fn new(choices: Vec<Choice>) -> Self {
        Self(choices)
    }

    /// The only rung a hook may use. What names the hook goes before what is said for all.
    #[must_use]
    pub fn rung(&self, signal: &Signal, hook: &Hook) -> Option<Rung> {
        self.named(signal, hook).or_else(|| self.of_all())
    }

    /// The rung that was asked for by the hook's name.
    #[must_use]
    pub fn named(&self, signal: &Signal, hook: &Hook) -> Option<Rung> {
        self.last(Some((signal.name, hook.name)))
    }

    /// The rung that was asked for without naming a hook.
    #[must_use]
    pub fn of_all(&self) -> Option<Rung> {
        self.last(None)
    }

    /// Whether any hook may use a rung.
    #[must_use]
    pub fn allow(&self, rung: Rung) -> bool {
        let mut hooks = SIGNALS.iter().flat_map(|s| s.hooks.iter().map(move |hook| (*s, hook)));
        hooks.any(|(signal, hook)| self.rung(signal, hook).is_none_or(|only| only == rung))
    }

    fn last(&self, hook: Option<(&'static str, &'static str)>) -> Option<Rung> {
        self.0.iter().rev().find(|choice| choice.hook == hook).map(|choice| choice.rung)
    }
}

/// The name of a hook on the command line, in messages and documentation.
#[must_use]
pub fn full_name(signal: &Signal, hook: &Hook) -> String {
    format!("{}/{}", signal.name, hook.name)
}

fn rung_named(name: &str) -> Result<Rung, ChoiceError> {
    let rung = Rung::LADDER.into_iter().find(|rung| rung.name() == name);
    rung.ok_or_else(|| ChoiceError::Rung(name.to_owned()))
}

fn rungs() -> String {
    join(Rung::LADDER.into_iter().map(|rung| rung.name().to_owned()))
}

fn hooks() -> String {
    join(SIGNALS.iter().flat_map(|s| s.hooks.iter().map(move |hook| full_name(s, hook))))
}

fn join(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::{fork, tc};

    fn choices(words: &[&str]) -> Result<Choices, ChoiceError> {
        words.iter().map(|word| word.parse()).collect::<Result<_, _>>().map(Choices::new)
    }

    #[test]
    fn a_hook_named_goes_before_all_and_the_last_word_counts() {
        let (requests, clone) = (&tc::SIGNAL.hooks[0], &fork::SIGNAL.hooks[0]);
        let asked = choices(&["tc/requests=kprobe", "tracepoint"]).unwrap();
        assert_eq!(asked.rung(&tc::SIGNAL, requests), Some(Rung::Kprobe));
        assert_eq!(asked.rung(&fork::SIGNAL, clone), Some(Rung::Tracepoint));
        assert_eq!(asked.named(&fork::SIGNAL, clone), None);
        let asked = choices(&["fork/clone=kprobe", "fork/clone=fexit"]).unwrap();
        assert_eq!(asked.rung(&fork::SIGNAL, clone), Some(Rung::Fexit));
        assert_eq!(asked.rung(&tc::SIGNAL, requests), None);
        assert_eq!(Choices::default().of_all(), None);
    }

    #[test]
    fn wrong_names_say_what_there_is() {
        let wrong = |word| choices(&[word]).unwrap_err().to_string();
        assert_eq!(
            wrong("uprobe"),
            "there is no rung \"uprobe\"; there are fexit, kprobe, tracepoint"
        );
        assert!(wrong("tc/forks=kprobe").contains("there are tc/requests, tc/link-gone"));
        assert_eq!(
            wrong("tc/xdp=tracepoint"),
            "tc/xdp has no rung tracepoint; it has fexit, kprobe"
        );
        assert!(wrong("tc/xdp=").contains("no rung \"\""));
    }
}
