//! The table of capabilities: what the agent loses without each, on a kernel of each sort. It is made from
//! guests, as it is found by trying, and committed.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use scenarios::privileges::{LEFT_OUT, Privileges};
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

/// The oldest, the one most nodes have, and the newest.
const KERNELS: [&str; 3] = ["5.10", "6.1", "7.2"];

/// The table.
#[derive(Default, Deserialize, Serialize)]
struct Table {
    /// By series.
    kernels: BTreeMap<String, OfKernel>,
}

/// What the agent did on one kernel, the set that leaves nothing out first.
#[derive(Deserialize, Serialize)]
struct OfKernel {
    release: String,
    without: Vec<Privileges>,
}

impl Table {
    fn file() -> PathBuf {
        paths::root().join("docs/privileges.json")
    }

    fn load() -> Result<Self> {
        let file = Self::file();
        let text = fs::read_to_string(&file).with_context(|| {
            format!("cannot read {}: run `cargo xtask docs --privileges`", file.display())
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is no table", file.display()))
    }

    fn save(&self) -> Result<()> {
        fs::write(Self::file(), serde_json::to_string_pretty(self)? + "\n")?;
        Ok(fs::write(paths::root().join("docs/privileges.md"), page::markdown(self))?)
    }

    /// In the order of the releases.
    fn ordered(&self) -> impl Iterator<Item = (&'static str, &OfKernel)> {
        KERNELS.into_iter().filter_map(|series| Some((series, self.kernels.get(series)?)))
    }
}

impl OfKernel {
    fn without(&self, names: &[&str]) -> Option<&Privileges> {
        self.without.iter().find(|privileges| privileges.without == names)
    }
}

/// Tries in a guest of each kernel, or of some and keeps what is known of the others; writes
/// docs/privileges.json and docs/privileges.md.
pub fn write(kernels: &[String]) -> Result<()> {
    setup::ensure()?;
    let artifacts = artifacts::build()?;
    let mut table =
        if kernels.is_empty() { Table::default() } else { Table::load().unwrap_or_default() };
    let wanted = |series: &str| kernels.is_empty() || kernels.iter().any(|kernel| kernel == series);
    for series in KERNELS.into_iter().filter(|series| wanted(series)) {
        let kernel = kernel::get(series)?;
        println!("leaving capabilities out on {}", kernel.release);
        let mut log = Log::new(&kernel.release, Stream::Stdout);
        let report = report::in_guest(&["privileges"], &[], &kernel, &PLAIN, &artifacts, &mut log)?;
        let complete = report.privileges.len() == LEFT_OUT.len();
        ensure!(complete, "not every set was tried on {}", kernel.release);
        let of_kernel = OfKernel { release: kernel.release.clone(), without: report.privileges };
        table.kernels.insert(series.to_owned(), of_kernel);
        table.save()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_written_from_the_table() {
        let page = fs::read_to_string(paths::root().join("docs/privileges.md")).unwrap();
        assert_eq!(
            page,
            page::markdown(&Table::load().unwrap()),
            "run `cargo xtask docs --privileges`"
        );
    }

    #[test]
    fn every_kernel_and_every_set_is_in_the_table() {
        let table = Table::load().unwrap();
        assert_eq!(table.ordered().count(), KERNELS.len());
        for (series, kernel) in table.ordered() {
            for names in LEFT_OUT {
                assert!(kernel.without(names).is_some(), "{series} without {names:?}");
            }
        }
    }

    /// What is lost is named: by the doctor, or by the words the agent ends with.
    #[test]
    fn nothing_is_refused_silently() {
        for (series, kernel) in Table::load().unwrap().ordered() {
            let all = kernel.without(&[]).unwrap();
            for without in &kernel.without {
                let same = without.told == all.told && without.hooks == all.hooks;
                let named = !without.missing.is_empty();
                assert!(same && without.ends.is_none() || named, "{series}: {:?}", without.without);
            }
        }
    }
}
