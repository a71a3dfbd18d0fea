//! The table of hooks: what the doctor says of every hook, on every kernel and rung. It is made from
//! guests, committed, and compared with what the doctor says in the guests of each test.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use scenarios::{
    doctor::{Hook, Hooks, RUNGS},
    report::Verdict,
};
use serde::{Deserialize, Serialize};

use crate::{
    artifacts, kernel, paths,
    play::{
        log::{Log, Stream},
        variant::PLAIN,
    },
    report, setup,
};

mod page;

const REMEDY: &str = "run `cargo xtask docs --hooks` and look at what changed";

/// The table, kernels in the order of [`kernel::all_series`].
#[derive(Default, Deserialize, Serialize)]
struct Table {
    /// By series.
    kernels: BTreeMap<String, OfKernel>,
}

/// What the doctor said on one kernel: its own choice, then each rung alone.
#[derive(Clone, Deserialize, Serialize)]
struct OfKernel {
    release: String,
    said: Vec<Hooks>,
}

impl Table {
    fn file() -> PathBuf {
        paths::root().join("docs/hooks.json")
    }

    fn load() -> Result<Self> {
        let file = Self::file();
        let text = fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}: {REMEDY}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}: {REMEDY}", file.display()))
    }

    fn save(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(Self::file(), text)?;
        Ok(fs::write(paths::root().join("docs/hooks.md"), page::markdown(self))?)
    }

    /// In the order of the releases.
    fn ordered(&self) -> impl Iterator<Item = (&'static str, &OfKernel)> {
        kernel::all_series().filter_map(|series| Some((series, self.kernels.get(series)?)))
    }

    fn compare(&self, series: &str, said: &Hooks) -> Result<()> {
        let known = self.kernels.get(series).and_then(|kernel| kernel.on(said.forced.as_deref()));
        let known = known.with_context(|| format!("docs/hooks.json has no {series}: {REMEDY}"))?;
        let drift = differences(&known.hooks, &said.hooks);
        ensure!(drift.is_empty(), "{} (docs/hooks.json is old: {REMEDY})", drift.join("; "));
        Ok(())
    }
}

impl OfKernel {
    fn on(&self, forced: Option<&str>) -> Option<&Hooks> {
        self.said.iter().find(|said| said.forced.as_deref() == forced)
    }
}

/// What the doctor says otherwise than before.
fn differences(before: &[Hook], now: &[Hook]) -> Vec<String> {
    let name = |hook: &Hook| format!("{}/{}", hook.signal, hook.hook);
    let find = |hooks: &[Hook], wanted: &Hook| {
        hooks.iter().find(|hook| name(hook) == name(wanted)).cloned()
    };
    let gone = before.iter().filter(|hook| find(now, hook).is_none());
    let gone = gone.map(|hook| format!("{} is gone", name(hook)));
    let changed = now.iter().filter_map(|hook| match find(before, hook) {
        None => Some(format!("{} is new", name(hook))),
        Some(old) if old == *hook => None,
        Some(old) if old.rung_name() != hook.rung_name() => {
            Some(format!("{}: {} instead of {}", name(hook), hook.rung_name(), old.rung_name()))
        }
        Some(_) => Some(format!("{}: other reasons or gaps", name(hook))),
    });
    gone.chain(changed).collect()
}

/// Whether the committed table says the same.
pub fn verdict(series: &str, said: &Hooks) -> Verdict {
    match Table::load().and_then(|table| table.compare(series, said)) {
        Ok(()) => Verdict::new("hooks", true, "as in docs/hooks.json".to_owned()),
        Err(error) => Verdict::new("hooks", false, format!("{error:#}")),
    }
}

/// Asks the doctor in a guest of each kernel, and writes docs/hooks.json and docs/hooks.md.
pub fn write(kernels: &[String]) -> Result<()> {
    setup::ensure()?;
    let artifacts = artifacts::build()?;
    let all: Vec<String> = kernel::all_series().map(str::to_owned).collect();
    let mut table = if kernels.is_empty() { Table::default() } else { Table::load()? };
    for series in if kernels.is_empty() { &all } else { kernels } {
        let kernel = kernel::get(series)?;
        println!("asking the doctor on {}", kernel.release);
        let mut log = Log::new(&kernel.release, Stream::Stdout);
        let report = report::in_guest(&["hooks"], &[], &kernel, &PLAIN, &artifacts, &mut log)?;
        let complete = report.hooks.len() == 1 + RUNGS.len();
        ensure!(complete, "the doctor on {} did not tell of every rung", kernel.release);
        let of_kernel = OfKernel { release: kernel.release.clone(), said: report.hooks };
        table.kernels.insert(series.clone(), of_kernel);
    }
    table.save()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(name: &str, rung: &str) -> Hook {
        let (signal, rung) = ("tc".to_owned(), Some(rung.to_owned()));
        let (misses, not_applicable, pending, refused) = (None, None, None, Vec::new());
        Hook { signal, hook: name.to_owned(), rung, misses, not_applicable, pending, refused }
    }

    #[test]
    fn drift_is_told_hook_by_hook() {
        let before = [hook("requests", "fexit"), hook("xdp", "fexit"), hook("tcx", "fexit")];
        let mut now = [hook("requests", "kprobe"), hook("xdp", "fexit"), hook("gone", "fexit")];
        now[1].misses = Some("everything".to_owned());
        let drift = [
            "tc/tcx is gone",
            "tc/requests: kprobe instead of fexit",
            "tc/xdp: other reasons or gaps",
            "tc/gone is new",
        ];
        assert_eq!(differences(&before, &now), drift);
        assert!(differences(&before, &before).is_empty());
    }

    #[test]
    fn the_page_is_written_from_the_table() {
        let page = fs::read_to_string(paths::root().join("docs/hooks.md")).unwrap();
        assert_eq!(page, page::markdown(&Table::load().unwrap()), "{REMEDY}");
    }

    #[test]
    fn every_kernel_is_in_the_table() {
        let table = Table::load().unwrap();
        let known: Vec<_> = table.ordered().map(|(series, _)| series).collect();
        assert_eq!(known, kernel::all_series().collect::<Vec<_>>(), "{REMEDY}");
    }
}
