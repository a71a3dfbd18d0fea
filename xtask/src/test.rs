//! `cargo xtask test`: every test there is, and one line at the end that says how many passed.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use clap::{Args, builder::PossibleValuesParser};
use scenarios::report::Done;

use crate::{
    artifacts::{self, Artifacts},
    backends, dist, fuzz, kernel, leakers, manifests,
    play::{
        self, GuestRun,
        log::{Log, Stream},
    },
    report, run, setup, tidy,
};

mod plan;
mod sum;

use sum::Sum;
pub use sum::Tested;

/// What `test` is asked for.
#[derive(Args)]
pub struct Test {
    /// The series of a kernel to test on; may be given again
    #[arg(long, default_values = ["5.10", "6.1", "7.2"], value_parser = PossibleValuesParser::new(kernel::all_series()))]
    kernel: Vec<String>,
}

impl Test {
    /// Runs all tests; returns 0 when some ran and none failed.
    pub fn run(self) -> i32 {
        let mut sum = Sum::default();
        let mut artifacts = None;
        sum.part("build", || {
            artifacts = Some(build()?);
            Ok(Done::default())
        });
        if let Some(artifacts) = artifacts {
            for (name, check) in tidy::CHECKS {
                sum.part(name, || {
                    check()?;
                    println!("ok");
                    Ok(Done::PASSED)
                });
            }
            sum.part("cargo test", || cargo_test(&artifacts, |_| ()));
            sum.part("fuzz", fuzz::test);
            sum.part("packaging", || dist::test::all(&artifacts));
            sum.part("host", || on_host(&artifacts));
            sum.part("manifests", || manifests::all(&artifacts));
            sum.part("backends", || backends::all(&artifacts, &[]));
            sum.part("guests", || in_guests(&plan::guests(&self.kernel), &artifacts));
        }
        i32::from(!sum.tell())
    }
}

fn build() -> Result<Artifacts> {
    setup::ensure()?;
    let artifacts = artifacts::build()?;
    artifacts.print()?;
    Ok(artifacts)
}

/// Unit and integration tests, those that `choose` leaves; their output is passed on as it comes.
pub fn cargo_test(artifacts: &Artifacts, choose: impl FnOnce(&mut Command)) -> Result<Tested> {
    let mut cargo = run::cargo();
    cargo.args(["test", "--no-fail-fast"]);
    artifacts.export(&mut cargo);
    choose(&mut cargo);
    let mut child =
        cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut tested = Tested::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if let Some((passed, failed)) = libtest_sum(&line) {
            tested.count += Done { passed, failed, skipped: 0 };
        }
        if let Some(name) = libtest_failure(&line) {
            tested.failed.push(format!("{name} (what it said is above)"));
        }
    }
    let status = child.wait()?;
    if !status.success() && tested.count.failed == 0 {
        bail!("cargo test broke off ({status})");
    }
    Ok(tested)
}

/// Reads `test NAME ... FAILED`.
fn libtest_failure(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

/// Reads `test result: ok. 3 passed; 0 failed; …`.
fn libtest_sum(line: &str) -> Option<(usize, usize)> {
    let counts = line.strip_prefix("test result: ")?;
    let number = |what: &str| {
        let before = counts.split(what).next()?;
        before.rsplit([' ', '.']).find(|word| !word.is_empty())?.parse().ok()
    };
    Some((number(" passed")?, number(" failed")?))
}

/// The scenarios on this host's own kernel, where that is possible.
fn on_host(artifacts: &Artifacts) -> Result<Tested> {
    let mut tested = Tested::default();
    if let Some(reason) = host_cannot() {
        println!("not run: {reason}");
        return Ok(tested);
    }
    leakers::get(artifacts)?;
    let scenario = run::as_root(&artifacts.scenario).context("cannot become root")?;
    let mut log = Log::new("host", Stream::Stdout);
    let report = report::on_host(scenario, &["run"], artifacts, &mut log)?;
    tested.play("host", &report.verdicts, report.count());
    Ok(tested)
}

/// Why scenarios cannot run here.
fn host_cannot() -> Option<&'static str> {
    if !run::can_be_root() {
        return Some("scenarios need root, or sudo without a password");
    }
    (!Path::new("/sys/kernel/btf/vmlinux").exists()).then_some("this host's kernel has no BTF")
}

/// Plays the guests; one that cannot run is a failure.
fn in_guests(guests: &[GuestRun], artifacts: &Artifacts) -> Result<Tested> {
    let mut tested = Tested::default();
    play::all(guests, artifacts, Stream::Stdout, |guest, outcome| {
        tested.play(&guest.place(&guest.series), &outcome.verdicts, outcome.done);
    })?;
    Ok(tested)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_results_are_read() {
        let line = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(libtest_sum(line), Some((12, 0)));
        assert_eq!(libtest_sum("test result: FAILED. 3 passed; 2 failed; 0 ignored"), Some((3, 2)));
        assert_eq!(libtest_sum("test a ... ok"), None);
        assert_eq!(libtest_failure("test a ... ok"), None);
        assert_eq!(libtest_failure("test a::b ... FAILED"), Some("a::b"));
    }
}
