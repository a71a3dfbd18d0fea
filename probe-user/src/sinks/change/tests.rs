use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::*;
use crate::{
    config::{Config, load::parse},
    findings::testing::finding,
    sinks::{Answer, Policy, backend::Reason, call, store::Most, testing::PART},
};

/// As long as nothing may take that will come.
const HANG_GUARD: Duration = Duration::from_secs(60);

struct Bench {
    dir: TempDir,
    metrics: Arc<Metrics>,
    supervisor: Supervisor,
    sinks: Sinks,
}

impl Bench {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let supervisor = Supervisor::new(Arc::clone(&metrics));
        let dir = tempfile::tempdir().unwrap();
        Self { dir, metrics, supervisor, sinks: Sinks::default() }
    }

    /// Goes over to file sinks with these names and files.
    fn change(&mut self, sinks: &[(&str, &str)]) -> Result<Change, StartError> {
        let config = config(self.dir.path(), sinks);
        self.sinks.change(&config, &self.metrics, &mut self.supervisor)
    }

    fn find(&self) {
        self.sinks.outlets.finding(finding());
    }

    /// Waits until a file has so many lines.
    fn wait_for_lines(&self, file: &str, lines: usize) {
        wait_until(|| self.lines(file) == lines);
    }

    fn lines(&self, file: &str) -> usize {
        fs::read_to_string(self.dir.path().join(file)).map_or(0, |text| text.lines().count())
    }

    /// Waits until all that were let go have ended.
    fn wait_for_leavers(&mut self) {
        wait_until(|| {
            self.sinks.tick(&self.metrics);
            self.sinks.leaving.is_empty()
        });
    }

    /// Whether the supervisor takes nothing for the end of the agent.
    fn goes_on(&mut self) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let unexpected = self.supervisor.unexpected_end();
        runtime.block_on(async {
            tokio::time::timeout(Duration::from_millis(1), unexpected).await.is_err()
        })
    }

    fn text(&self) -> String {
        String::from_utf8(self.metrics.encode().unwrap()).unwrap()
    }
}

fn config(dir: &Path, sinks: &[(&str, &str)]) -> Config {
    let table = |(name, file): &(&str, &str)| {
        format!("[sinks.{name}.file]\npath = \"{}\"\n", dir.join(file).display())
    };
    parse("n.toml", &sinks.iter().map(table).collect::<String>()).unwrap()
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < HANG_GUARD, "it never does");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn sinks_come_and_go_and_what_stays_is_not_touched() {
    let mut bench = Bench::new();
    bench.change(&[("one", "one"), ("two", "two")]).unwrap();
    bench.find();
    let one = bench.sinks.running[0].thread.id();
    let change = bench.change(&[("one", "one"), ("two", "moved"), ("three", "three")]).unwrap();
    let words: Vec<_> = change.words().collect();
    assert_eq!(words, ["sinks.three added", "sinks.two changed"]);
    bench.find();
    assert_eq!(bench.change(&[("one", "one")]).unwrap().words().count(), 2);
    bench.find();
    assert_eq!(bench.sinks.running[0].thread.id(), one, "it never ended");
    bench.wait_for_lines("one", 3);
    // Those that are no more had their last words.
    bench.wait_for_leavers();
    assert_eq!([bench.lines("two"), bench.lines("moved"), bench.lines("three")], [1, 1, 1]);
    assert!(bench.goes_on());
    bench.supervisor.tick(1);
    let text = bench.text();
    assert!(text.contains("sink=\"one\"") && text.contains("loop=\"sink-one\""), "{text}");
    for gone in ["sink=\"two", "sink=\"three", "sink-two", "sink-three"] {
        assert!(!text.contains(gone), "{gone} in\n{text}");
    }
}

#[test]
fn one_that_cannot_start_leaves_all_as_it_was() {
    let mut bench = Bench::new();
    bench.change(&[("one", "one")]).unwrap();
    // The file that `one` has is no directory.
    let error = bench.change(&[("a", "a"), ("two", "one/two")]).expect_err("no directory");
    assert!(error.to_string().starts_with("sinks.two: "), "{error}");
    bench.find();
    bench.wait_for_lines("one", 1);
    bench.wait_for_leavers();
    assert_eq!(bench.lines("a"), 0, "it was let go before it got anything");
    assert!(bench.goes_on());
    // As if it had never been tried.
    assert_eq!(bench.change(&[("one", "one")]).unwrap(), Change::default());
}

#[test]
fn a_sink_that_ends_of_itself_still_ends_the_agent() {
    let mut bench = Bench::new();
    bench.change(&[("one", "one")]).unwrap();
    bench.sinks.outlets.take();
    wait_until(|| bench.sinks.running[0].is_finished());
    assert!(!bench.goes_on());
}

#[test]
fn a_file_that_was_moved_away_is_opened_again() {
    let mut bench = Bench::new();
    bench.change(&[("one", "one")]).unwrap();
    bench.find();
    bench.wait_for_lines("one", 1);
    fs::rename(bench.dir.path().join("one"), bench.dir.path().join("one.1")).unwrap();
    bench.sinks.reopen();
    // Also when there is nothing to be written.
    wait_until(|| bench.dir.path().join("one").exists());
    bench.find();
    bench.wait_for_lines("one", 1);
    assert_eq!(bench.lines("one.1"), 1);
}

#[test]
fn what_a_removed_sink_loses_is_counted_and_to_be_seen_until_the_next_change() {
    let mut bench = Bench::new();
    let plan = call::plan("away", PART, |_| Answer::later(Reason::Connect, "refused"));
    let most = Most { records: 10, bytes: usize::MAX };
    let policy = Policy { most, last_words: Duration::ZERO, ..plan.policy };
    bench.sinks.start(Plan { policy, ..plan }, &bench.metrics, &mut bench.supervisor).unwrap();
    bench.sinks.config = config(bench.dir.path(), &[("away", "away")]).sinks;
    (0..3).for_each(|_| bench.find());
    assert_eq!(bench.change(&[("one", "one")]).unwrap().removed, ["away"]);
    bench.wait_for_leavers();
    let lost = "nodeprobe_sink_records_total{outcome=\"expired\",sink=\"away\"} 3";
    assert!(bench.text().contains(lost), "{}", bench.text());
    assert_eq!(bench.change(&[("one", "one")]).unwrap(), Change::default());
    assert!(bench.text().contains(lost), "nothing changed");
    bench.change(&[]).unwrap();
    assert!(!bench.text().contains("sink=\"away\""), "{}", bench.text());
}

#[test]
fn sinks_that_never_end_are_not_piled_up() {
    let mut bench = Bench::new();
    for round in 0..=MOST {
        let plan = call::plan("stuck", PART, |_| {
            std::thread::park();
            Answer::taken()
        });
        let mut fresh = Sinks::default();
        fresh.start(plan, &bench.metrics, &mut bench.supervisor).unwrap();
        fresh.outlets.finding(finding());
        bench.sinks.dismiss(std::mem::take(&mut fresh.running));
        if round < MOST {
            bench.change(&[]).unwrap();
        }
    }
    let error = bench.change(&[]).expect_err("too many");
    let told = format!("{} sinks that were removed", MOST + 1);
    assert!(error.to_string().starts_with(&told), "{error}");
}
