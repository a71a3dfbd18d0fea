//! What the agent tells of itself in its metrics.

use std::fs;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};

use super::{Agent, POLL};
use crate::HANG_GUARD;
use crate::interrupt;
use crate::metrics::{self, Account, SIGNALS};

impl Agent {
    /// Events of a signal the agent has taken in so far, and those that the kernel kept from it; rounds,
    /// when it is a polled one.
    pub fn events(&self, signal: &str) -> Result<u64> {
        let text = self.scrape()?;
        let round = format!("{signal}_round");
        let rounds = metrics::sum(&text, "nodeprobe_polled_total", &[("fact", &round)]);
        // What the agent provokes itself is nobody's.
        let of_others = metrics::sum(&text, "nodeprobe_events_total", &[("signal", signal)]);
        let kept = metrics::left_out(&text, signal);
        Ok(rounds + of_others + kept + Account::of(&text, signal).summed)
    }

    /// Whether a hook of a signal is attached; also where it has none, and lives by what is polled.
    pub fn hooks(&self, signal: &str) -> Result<bool> {
        let text = self.scrape()?;
        let on = |labels: &[(&str, &str)]| metrics::sum(&text, "nodeprobe_signal_coverage", labels);
        let all = on(&[("signal", signal)]);
        let attached = ["fexit", "kprobe", "tracepoint"];
        let attached = attached.map(|rung| on(&[("signal", signal), ("rung", rung)]));
        Ok(all == 0 || attached.iter().sum::<u64>() > 0)
    }

    /// Whether its metrics say that a hook uses this rung.
    pub fn uses_rung(&self, signal: &str, hook: &str, rung: &str) -> Result<bool> {
        let labels = [("signal", signal), ("hook", hook), ("rung", rung)];
        Ok(metrics::sum(&self.scrape()?, "nodeprobe_signal_coverage", &labels) == 1)
    }

    /// What became of a signal's events.
    pub fn account(&self, signal: &str) -> Result<Account> {
        Ok(Account::of(&self.scrape()?, signal))
    }

    /// Where its metrics are.
    #[must_use]
    pub fn metrics_url(&self) -> Option<&str> {
        self.ready.metrics_url.as_deref()
    }

    /// Sums the samples of one of its metrics that carry all of these labels.
    pub fn metric(&self, metric: &str, labels: &[(&str, &str)]) -> Result<u64> {
        Ok(metrics::sum(&self.scrape()?, metric, labels))
    }

    /// The sample of one of its metrics whose only label is the signal.
    pub fn of_signal(&self, name: &str, signal: &str) -> Result<f64> {
        let value = metrics::value(&self.scrape()?, name, signal);
        value.ok_or_else(|| anyhow!("there is no {name} of {signal}{}", self.log_tail()))
    }

    /// What it says of the events of each signal: tells what was not seen from what was not judged so.
    #[must_use]
    pub fn accounts(&self) -> String {
        match self.scrape() {
            Ok(text) => {
                let told = |signal| {
                    let left_out = metrics::left_out(&text, signal);
                    format!("; {signal}: {:?}, {left_out} left out", Account::of(&text, signal))
                };
                SIGNALS.map(told).concat()
            }
            Err(error) => format!("; {error:#}"),
        }
    }

    /// The text of its metrics.
    pub fn scrape(&self) -> Result<String> {
        let url = self.ready.metrics_url.as_ref();
        let url = url
            .ok_or_else(|| anyhow!("the ready line names no metrics address{}", self.log_tail()))?;
        metrics::scrape(url)
            .map_err(|error| anyhow!("{error:#}{}{}", self.log_tail(), self.whereabouts(url)))
    }

    /// Where each of its threads is: in which function of the kernel it waits, and its stack there
    /// (proc_pid_stack(5)). What waits at the endpoint, how busy the machine is, and whether a second
    /// try is answered. It may hang, or be starved.
    fn whereabouts(&self, url: &str) -> String {
        let again = Instant::now();
        let second = match metrics::scrape(url) {
            Ok(_) => format!("a second try was answered after {:?}", again.elapsed()),
            Err(error) => format!("a second try: {error:#}"),
        };
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let threads = self.threads();
        format!("; {second}; load {}; {}{threads}", load.trim(), waiting_at(url))
    }

    fn threads(&self) -> String {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid()));
        let tasks = tasks.into_iter().flatten().flatten();
        let told = tasks.map(|task| {
            let file = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let stack = file("stack").replace('\n', " ");
            let times = file("schedstat");
            format!("; {} ({}) in {} {stack}", file("comm").trim(), times.trim(), file("wchan"))
        });
        told.collect()
    }

    /// Waits until the agent accounts for every event of every signal: seen by the kernel's hooks is
    /// delivered, suppressed or lost, and delivered is decoded.
    pub fn reconciles(&self) -> Result<()> {
        let deadline = Instant::now() + HANG_GUARD;
        loop {
            interrupt::check()?;
            let text = self.scrape()?;
            let open = SIGNALS
                .map(|signal| (signal, Account::of(&text, signal)))
                .into_iter()
                .find(|(_, account)| !account.reconciles());
            let Some((signal, account)) = open else {
                return Ok(());
            };
            // Events may be on their way between two reads; an account that is wrong stays wrong.
            ensure!(
                Instant::now() < deadline,
                "the agent's account of {signal} does not add up: {account:?}{}",
                self.log_tail()
            );
            thread::sleep(POLL);
        }
    }

    /// Waits until the agent has taken in that many events of a signal.
    pub fn has_seen(&self, signal: &str, least: u64) -> Result<()> {
        let deadline = Instant::now() + HANG_GUARD;
        loop {
            interrupt::check()?;
            let seen = self.events(signal)?;
            if seen >= least {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the agent is blind: {seen} of at least {least} {signal} events{}{}",
                self.accounts(),
                self.log_tail()
            );
            thread::sleep(POLL);
        }
    }
}

/// Sockets at the port of an endpoint, as /proc/net/tcp has them: of the one that listens, the second
/// number of the queues is how many connections wait to be accepted.
fn waiting_at(url: &str) -> String {
    let port = url.trim_end_matches("/metrics").rsplit(':').next();
    let port = port.and_then(|port| port.parse::<u16>().ok()).map(|port| format!(":{port:04X} "));
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let of_port =
        table.lines().filter(|line| port.as_ref().is_some_and(|port| line.contains(port)));
    of_port.take(20).map(|line| format!("tcp {}; ", line.trim())).collect()
}
