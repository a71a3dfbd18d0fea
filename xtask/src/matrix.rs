//! `cargo xtask matrix`: every scenario on every kernel and every rung, and in guests of every kind.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum, builder::PossibleValuesParser};
use scenarios::{doctor::RUNGS, report::Done, scenario::ALL, trial};

use crate::{
    artifacts, kernel, leakers,
    play::{
        self, GuestRun,
        log::Stream,
        variant::{self, Variant},
    },
    setup,
};

mod cells;
mod page;

use cells::Cells;

/// The agent's own choice, beside the rungs that can be forced.
const BEST: &str = "best";
/// The kind of guest that is like no other kind.
const PLAIN: &str = "plain";

/// What `matrix` is asked for; all there is without a choice.
#[derive(Args)]
pub struct Matrix {
    /// A kernel; may be given again
    #[arg(long, value_parser = PossibleValuesParser::new(kernel::all_series()))]
    kernel: Vec<String>,
    /// A rung, or the best that works; may be given again
    #[arg(long, value_parser = PossibleValuesParser::new([BEST].into_iter().chain(RUNGS.iter().copied())))]
    rung: Vec<String>,
    /// A kind of guest; may be given again
    #[arg(long, value_parser = PossibleValuesParser::new([PLAIN].into_iter().chain(variant::ALL.iter().map(|kind| kind.name))))]
    guest: Vec<String>,
    /// A scenario, or a trial; may be given again
    #[arg(long, value_parser = PossibleValuesParser::new(played()))]
    scenario: Vec<String>,
    /// Writes what was played into docs/matrix.md and docs/matrix.json, beside what is there
    #[arg(long)]
    write: bool,
    /// How the result is printed: tables, or one JSON object and nothing else
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    output: Output,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Output {
    Human,
    Json,
}

/// Everything that can be played.
fn played() -> impl Iterator<Item = &'static str> {
    let scenarios = ALL.iter().map(|scenario| scenario.name);
    scenarios.chain(trial::ALL.iter().map(|trial| trial.name))
}

impl Matrix {
    /// Plays it; returns 0 when something was played and nothing failed.
    pub fn run(self) -> Result<i32> {
        setup::ensure()?;
        let artifacts = artifacts::build()?;
        leakers::get(&artifacts)?;
        let guests = self.guests();
        ensure!(!guests.is_empty(), "nothing is left to play");
        let stream = match self.output {
            Output::Human => Stream::Stdout,
            Output::Json => Stream::Stderr,
        };
        let (mut cells, mut total, mut ended) = (Cells::default(), Done::default(), 0);
        let mut saved = Ok(());
        play::all(&guests, &artifacts, stream, |guest, outcome| {
            cells.add(guest, &outcome.verdicts);
            total += outcome.done;
            ended += 1;
            stream.say(&format!("== {ended} of {} guests: {total}", guests.len()));
            // After each guest: a matrix takes hours.
            if self.write && saved.is_ok() {
                saved = Cells::load().and_then(|mut all| {
                    all.add(guest, &outcome.verdicts);
                    all.save()
                });
            }
        })?;
        saved?;
        match self.output {
            Output::Human => println!("{}\n{total}", page::text(&cells)),
            Output::Json => println!("{}", cells.json(total)?),
        }
        Ok(i32::from(total.failed > 0 || total.passed == 0))
    }

    /// Each kernel on each rung; and guests of each kind with the oldest and the newest kernel.
    fn guests(&self) -> Vec<GuestRun> {
        let wants = |chosen: &[String], name: &str| {
            chosen.is_empty() || chosen.iter().any(|wanted| wanted == name)
        };
        let kernels: Vec<&str> =
            kernel::all_series().filter(|series| wants(&self.kernel, series)).collect();
        let mut guests = Vec::new();
        // Alone, fexit is what the best rung is wherever it works.
        let rungs = [None, Some("kprobe"), Some("tracepoint")];
        let rungs = match &self.rung[..] {
            [] => rungs.to_vec(),
            chosen => [None]
                .into_iter()
                .chain(RUNGS.iter().map(|rung| Some(*rung)))
                .filter(|rung| chosen.iter().any(|name| name == rung.unwrap_or(BEST)))
                .collect(),
        };
        for series in kernels.iter().filter(|_| wants(&self.guest, PLAIN)) {
            guests
                .extend(rungs.iter().map(|rung| GuestRun { rung: *rung, ..GuestRun::new(series) }));
        }
        let mut ends = vec![kernels.first(), kernels.last()];
        ends.dedup();
        for series in ends.into_iter().flatten().filter(|_| wants(&self.rung, BEST)) {
            let kinds = variant::ALL.iter().filter(|kind| wants(&self.guest, kind.name));
            guests.extend(kinds.map(|kind: &Variant| GuestRun::new(series).variant(kind)));
        }
        for guest in &mut guests {
            guest.scenarios.clone_from(&self.scenario);
        }
        guests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(kernel: &[&str], rung: &[&str], guest: &[&str]) -> Vec<GuestRun> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (kernel, rung, guest) = (own(kernel), own(rung), own(guest));
        let (scenario, output) = (Vec::new(), Output::Json);
        Matrix { kernel, rung, guest, scenario, write: false, output }.guests()
    }

    #[test]
    fn everything_is_played_unless_something_is_chosen() {
        let kernels = kernel::all_series().count();
        assert_eq!(chosen(&[], &[], &[]).len(), 3 * kernels + 2 * variant::ALL.len());
        assert_eq!(chosen(&["6.18"], &["tracepoint"], &[]).len(), 1);
        assert_eq!(chosen(&["6.18"], &["fexit", "best"], &["plain"]).len(), 2);
        let wide = chosen(&[], &[], &["8-cpus"]);
        let names: Vec<_> = wide.iter().map(|guest| guest.series.as_str()).collect();
        assert_eq!(names, ["5.10", "7.2"]);
        assert_eq!(chosen(&["6.1"], &[], &["8-cpus"]).len(), 1);
    }
}
