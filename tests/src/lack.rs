//! What a machine lacks for a part of a scenario: a fact that was looked up, never an opinion. A part
//! that fails where nothing is lacking fails.

use std::fmt;
use std::fs;
use std::mem;
use std::sync::{Mutex, PoisonError};

use anyhow::ensure;

use crate::init;
use crate::report::{Skip, SkipKind};
use crate::scenario::Stage;

/// What a machine lacks. As an error of an act, it skips the act.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Lack {
    /// A feature that came with a later kernel.
    Feature { release: String, what: String, since: (u32, u32) },
    /// A module of a guest whose kernel came without any.
    Module { release: String, name: String },
    /// pids and memory on one cgroup v2 hierarchy.
    OneHierarchy,
    /// A machine that may be brought to its limits: this is somebody's host.
    OwnMachine,
}

impl Lack {
    /// The feature, unless the running kernel is of this release or a later one.
    pub fn feature(what: &str, since: (u32, u32)) -> Result<(), Self> {
        let release = release();
        let lacking = number(&release) < since;
        if lacking { Err(Self::Feature { release, what: what.into(), since }) } else { Ok(()) }
    }

    /// The module, in a guest whose kernel came without any.
    #[must_use]
    pub fn module(name: &str) -> Option<Self> {
        let none =
            fs::read_to_string(init::MODULES_FILE).is_ok_and(|modules| modules.trim().is_empty());
        none.then(|| Self::Module { release: release(), name: name.into() })
    }

    /// pids and memory on one cgroup v2 hierarchy; every guest has that unless it was booted otherwise.
    pub fn one_hierarchy(there: bool) -> anyhow::Result<()> {
        let must = init::is_guest() && init::word(init::CGROUP_WORD).is_none();
        ensure!(there || !must, "this guest has cgroup v2 alone, and yet: {}", Self::OneHierarchy);
        if there { Ok(()) } else { Err(Self::OneHierarchy.into()) }
    }

    /// A machine of our own, unless this is a guest.
    pub fn own_machine() -> Result<(), Self> {
        if init::is_guest() { Ok(()) } else { Err(Self::OwnMachine) }
    }
}

impl std::error::Error for Lack {}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feature { release, what, since: (major, minor) } => {
                write!(f, "{release} has no {what}, which came with Linux {major}.{minor}")
            }
            Self::Module { release, name } => {
                write!(f, "no {name}: the mirror has no modules of {release} any more")
            }
            Self::OneHierarchy => f.write_str("pids and memory are not on one cgroup v2 hierarchy"),
            Self::OwnMachine => f.write_str("it would stop everybody else on this host"),
        }
    }
}

impl Stage {
    /// What was done, unless the machine lacks what it needs: then it is a skip.
    ///
    /// # Errors
    /// Any other error than a [`Lack`].
    pub fn unless_lacking<T>(
        &self,
        part: &str,
        done: anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(error) => {
                let lack = error.downcast::<Lack>()?;
                self.skip(part, SkipKind::NotPlayed, lack.to_string());
                Ok(None)
            }
        }
    }

    /// Notes that a part of the scenario was left out.
    pub fn skip(&self, part: &str, kind: SkipKind, reason: String) {
        let skip = Skip { part: part.into(), kind, reason };
        self.reporter.progress(skip.to_string());
        self.skips.add(skip);
    }
}

/// What was left out of the scenario that is being played.
#[derive(Default)]
pub struct Skips(Mutex<Vec<Skip>>);

impl Skips {
    /// One more, unless it is known: an act may expect several findings that nobody can see.
    fn add(&self, skip: Skip) {
        let mut skips = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !skips.contains(&skip) {
            skips.push(skip);
        }
    }

    /// All of them; the next scenario starts without.
    #[must_use]
    pub fn take(&self) -> Vec<Skip> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The running kernel's release.
#[must_use]
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The first two numbers of a kernel's release.
#[must_use]
pub fn number(release: &str) -> (u32, u32) {
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;
    use crate::metrics::Endpoint;
    use crate::report::Reporter;

    fn stage() -> Stage {
        let (reporter, skips) = (Reporter::new(std::io::sink()), Skips::default());
        Stage { reporter, classifier: None, rung: None, skips, metrics: Endpoint::default() }
    }

    #[test]
    fn what_is_lacking_skips_once_and_anything_else_fails() {
        let stage = stage();
        for _ in 0..2 {
            let lacking: anyhow::Result<()> = Err(Lack::OwnMachine).context("setting threads-max");
            assert_eq!(stage.unless_lacking("the node is full", lacking).unwrap(), None);
        }
        let failed: anyhow::Result<()> = Err(anyhow!("ip failed"));
        assert!(stage.unless_lacking("the node is full", failed).is_err());
        assert_eq!(stage.unless_lacking("a part", Ok(1)).unwrap(), Some(1));
        let skips = stage.skips.take();
        assert_eq!(skips.len(), 1, "{skips:?}");
        assert_eq!(skips[0].reason, Lack::OwnMachine.to_string());
    }

    #[test]
    fn a_feature_is_lacking_before_its_release_only() {
        assert!(Lack::feature("eBPF", (3, 18)).is_ok());
        assert!(matches!(Lack::feature("x", (99, 0)), Err(Lack::Feature { .. })));
        assert_eq!(number("7.2.12+deb13-cloud-amd64"), (7, 2));
    }
}
