//! Storms of refused clones, of netlink sockets and of tc requests. Every event must be accounted for,
//! and few may cost a record.

use std::any::Any;
use std::ffi::OsString;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::HANG_GUARD;
use crate::clock::Moment;
use crate::expect::Expectation;
use crate::interrupt;
use crate::metrics::{self, Account};
use crate::props::actor::Actor;
use crate::props::cgroup::PidsCgroup;
use crate::props::cpu;
use crate::props::veth::Veth;
use crate::scenario::{Act, Played, Scenario, Stage};
use crate::scenarios::fork_pids_max::fork_fail;
use crate::scenarios::netlink_leak;

/// Most refused clones, netlink sockets opened and closed, clsacts made and deleted: a hundred thousand
/// events each. A slow guest ends earlier, and each storm says how far it came.
const CLONES: u64 = 100_000;
const CHURN: u64 = 50_000;
const CLSACTS: u64 = 50_000;
/// Netlink sockets that stay: more than a burst and more than is critical, so most are told late.
const HELD: u64 = 2_000;
/// Tasks and refused clones of the quiet victim: below a burst, above the threshold.
const VICTIM: (u32, u32) = (8, 6);
/// Records a subject may send at once, and each second (`probe_common::budget`).
const BURST: u64 = 128;
const PER_SECOND: u64 = 32;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "flood",
    summary: "storms of refused clones, of netlink sockets and of tc requests",
    expected: "every event accounted for, few records, findings with exact numbers",
    config: "[fork]\nhold = \"1s\"\n[tc]\nwindow = \"10s\"\nhold = \"1s\"\n",
    prelude: None,
    quiet: &[netlink_leak::CHURN],
    acts: &[
        Act {
            summary: "a storm of refused clones, a victim beside it",
            play: clones,
            resolves: false,
        },
        Act { summary: "netlink sockets come and go, some stay", play: sockets, resolves: false },
        Act {
            summary: "a clsact is made and deleted without a pause",
            play: requests,
            resolves: false,
        },
    ],
};

fn clones(stage: &Stage) -> Result<Played> {
    // The storm alone fills it: the cgroup of the victim has room of its own.
    let (full, beside) = (PidsCgroup::create(1)?, PidsCgroup::create(VICTIM.0)?);
    let ledger = Ledger::open(stage, "fork")?;
    let args = ["fork-flood".into(), "--cgroup".into(), full.path().into(), "--count".into()];
    let args = args.into_iter().chain([number(CLONES)]);
    let mut storm = cpu::on(0, || Actor::start("fork-storm", args))?;
    let since = storm.first_bad_act()?;
    let victim = cpu::on(1, || fork_fail("quiet-victim", VICTIM.1, &beside, "cgroup", &[]));
    let (mut victim, _) = victim?;
    let beside_it = victim.done()?;
    let refused = storm.done()?;
    ledger.close(stage, refused + beside_it, 1, u64::from(VICTIM.1))?;
    let of = |cgroup: &PidsCgroup, expected: Expectation, failures: u64| {
        expected
            .ends_with("/subject/cgroup/path", format!("/{}", cgroup.name()))
            .is("/evidence/cause/kind", "pids_max")
            .at_least("/evidence/failures_total", failures)
    };
    let expected = vec![
        of(&full, Expectation::firing("fork-failures"), 1),
        of(&full, Expectation::over("fork-failures"), 1).is("/evidence/failures_total", refused),
        of(&beside, Expectation::over("fork-failures"), 1)
            .is("/evidence/failures_total", VICTIM.1)
            .is("/subject/process/comm", "quiet-victim"),
    ];
    let props =
        vec![Box::new(storm) as Box<dyn Any>, Box::new(victim), Box::new(full), Box::new(beside)];
    Ok(Played { since, expected, props })
}

fn sockets(stage: &Stage) -> Result<Played> {
    let ledger = Ledger::open(stage, "netlink")?;
    let args = ["netlink-flood".into(), "--churn".into(), number(CHURN), "--hold".into()];
    let mut storm = Actor::start("socket-storm", args.into_iter().chain([number(HELD)]))?;
    let since = storm.first_bad_act()?;
    let done = storm.done()?;
    // A socket whose opening has a record has one of its close.
    ledger.close(stage, done, 2, 0)?;
    ledger.tracks(stage, HELD)?;
    let expected = Expectation::firing("netlink-leak")
        .is("/subject/process/pid", storm.pid())
        .is("/severity", "critical");
    Ok(Played { since, expected: vec![expected], props: vec![Box::new(storm)] })
}

fn requests(stage: &Stage) -> Result<Played> {
    let veth = Veth::create()?;
    let ledger = Ledger::open(stage, "tc")?;
    let args = ["tc-flood".into(), "--netns".into(), veth.netns.path().into_os_string()];
    let more = ["--dev".into(), veth.name.clone().into(), "--count".into(), number(CLSACTS)];
    let mut storm = Actor::start("tc-storm", args.into_iter().chain(more))?;
    let since = storm.first_bad_act()?;
    let done = storm.done()?;
    ledger.close(stage, done, 1, 0)?;
    let about = |expected: Expectation| {
        expected
            .is("/subject/interface/name", veth.name.clone())
            .is("/subject/process/comm", "tc-storm")
    };
    let expected = vec![
        about(Expectation::firing("tc-rewrite-rate")).is("/severity", "critical"),
        about(Expectation::over("tc-rewrite-rate")).is("/evidence/writes_total", done / 2),
    ];
    Ok(Played { since, expected, props: vec![Box::new(storm), Box::new(veth)] })
}

fn number(number: u64) -> OsString {
    number.to_string().into()
}

/// The agent's account of a signal before a storm.
struct Ledger {
    signal: &'static str,
    before: Account,
    tracked: u64,
    at: Moment,
}

impl Ledger {
    fn open(stage: &Stage, signal: &'static str) -> Result<Self> {
        let text = stage.metrics.scrape()?;
        let (before, tracked) = (Account::of(&text, signal), tracked(&text, signal));
        Ok(Self { signal, before, tracked, at: Moment::now() })
    }

    /// Waits until the agent accounts for the storm's `events` exactly, and was told of all that had no
    /// record of its own. Few had one: `each` for every record in the budget of the storm's subject, and
    /// those of `others`.
    fn close(&self, stage: &Stage, events: u64, each: u64, others: u64) -> Result<()> {
        let storm = self.wait(stage, |text| {
            let storm = Account::of(text, self.signal).since(&self.before);
            let told = storm.seen == events && storm.suppressed == storm.summed;
            (told && storm.reconciles(), storm)
        })?;
        let Account { delivered, suppressed, lost, .. } = storm;
        let seconds = Moment::now().since(self.at).as_secs() + 1;
        stage.reporter.progress(format!(
            "{events} {} events: {delivered} records, {suppressed} told in sum, {seconds} s",
            self.signal
        ));
        ensure!(lost == 0, "{lost} {} events were lost: {storm:?}", self.signal);
        let most = each * (BURST + PER_SECOND * seconds) + others;
        ensure!(delivered <= most, "{delivered} {} records, not {most} at most", self.signal);
        Ok(())
    }

    /// Waits until the agent keeps state for so many more things.
    fn tracks(&self, stage: &Stage, more: u64) -> Result<()> {
        let tracked = |text: &str| tracked(text, self.signal).saturating_sub(self.tracked);
        self.wait(stage, |text| (tracked(text) == more, tracked(text))).map(drop)
    }

    fn wait<T: std::fmt::Debug>(
        &self,
        stage: &Stage,
        is_so: impl Fn(&str) -> (bool, T),
    ) -> Result<T> {
        let deadline = Instant::now() + HANG_GUARD;
        loop {
            interrupt::check()?;
            let (so, seen) = is_so(&stage.metrics.scrape()?);
            if so {
                return Ok(seen);
            }
            ensure!(Instant::now() < deadline, "the {} storm ends in {seen:?}", self.signal);
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn tracked(text: &str, signal: &str) -> u64 {
    metrics::sum(text, "nodeprobe_tracked", &[("signal", signal)])
}
