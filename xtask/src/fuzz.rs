//! `cargo xtask fuzz`: libFuzzer over everything that takes bytes which somebody else wrote.
//!
//! Nothing is needed but a C++ compiler: coverage is a pass of every rustc (`fuzz/rustc.sh`), and
//! dependencies are those of `cargo test`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use scenarios::report::Done;

use crate::{artifacts, paths, run, setup};

/// Inputs that a test makes of the seeds of each target.
const RUNS: u32 = 20_000;
/// And for how long at most (s), on a machine that is busy.
const MOST_SECONDS: u32 = 10;
/// Longest input (bytes), longest run of one (s), and most memory (MiB).
const LIMITS: [&str; 3] = ["-max_len=4096", "-timeout=20", "-rss_limit_mb=512"];
/// What libFuzzer ends its report with; the last is the number of inputs it tried.
const DONE: &str = "stat::number_of_executed_units:";

/// What `fuzz` is asked for.
#[derive(Args)]
pub struct Fuzz {
    /// Names of targets; all when none is given
    targets: Vec<String>,
    /// Time for each (s)
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// How long a target is fuzzed.
enum Effort {
    /// New inputs each time, which are kept.
    Seconds(u32),
    /// The same inputs each time.
    Test,
}

impl Fuzz {
    /// Fuzzes; returns 0 when nothing was found.
    pub fn run(self) -> Result<i32> {
        let fuzzer = build()?;
        let all = targets()?;
        for name in &self.targets {
            ensure!(all.contains(name), "there is no target {name}; there are {}", all.join(", "));
        }
        let chosen = if self.targets.is_empty() { &all } else { &self.targets };
        Ok(i32::from(each(&fuzzer, chosen, &Effort::Seconds(self.seconds)).failed > 0))
    }
}

/// A short look at every target, the same on every machine.
pub fn test() -> Result<Done> {
    Ok(each(&build()?, &targets()?, &Effort::Test))
}

fn each(fuzzer: &Path, targets: &[String], effort: &Effort) -> Done {
    let mut done = Done::default();
    for target in targets {
        match play(fuzzer, target, effort) {
            Ok(said) => {
                println!("fuzz {target} ... ok ({said})");
                done.passed += 1;
            }
            Err(error) => {
                println!("fuzz {target} ... FAILED: {error:#}");
                done.failed += 1;
            }
        }
    }
    done
}

fn build() -> Result<PathBuf> {
    if paths::program("c++").is_none() {
        setup::install(&["g++"])?;
    }
    let mut cargo = run::cargo();
    cargo
        .args(["build", "--package", "fuzz"])
        .env("RUSTC_WORKSPACE_WRAPPER", paths::root().join("fuzz/rustc.sh"));
    artifacts::env_of_object(&mut cargo);
    run::step("building the fuzz targets", &mut cargo)?;
    Ok(paths::target().join("debug/fuzz"))
}

/// Every target has a directory of seeds, which a test of the agent holds true.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(seeds()).context("cannot read the seeds")? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn seeds() -> PathBuf {
    paths::root().join("fuzz/seeds")
}

/// Fuzzes one target; an input that it cannot take is kept, and the error says where.
fn play(fuzzer: &Path, target: &str, effort: &Effort) -> Result<String> {
    let found = paths::target().join("fuzz").join(target);
    let kept = match effort {
        Effort::Seconds(_) => "corpus",
        Effort::Test => "test",
    };
    let (corpus, failures) = (found.join(kept), found.join("failures"));
    let mut fuzz = Command::new(fuzzer);
    fuzz.env("NODEPROBE_FUZZ_TARGET", target).env("RUST_BACKTRACE", "1");
    fuzz.args(LIMITS).arg("-print_final_stats=1");
    fs::create_dir_all(&failures)?;
    // libFuzzer adds a file's name to it as it is.
    fuzz.arg(format!("-artifact_prefix={}/", failures.display()));
    match effort {
        Effort::Seconds(seconds) => {
            fuzz.arg(format!("-max_total_time={seconds}"));
        }
        Effort::Test => {
            fuzz.args([format!("-runs={RUNS}"), "-seed=1".into()]);
            fuzz.arg(format!("-max_total_time={MOST_SECONDS}"));
            // What it finds interesting must not depend on what it found before.
            let _ = fs::remove_dir_all(&corpus);
        }
    }
    fs::create_dir_all(&corpus)?;
    // New inputs go into the first directory, the others are only read.
    fuzz.args([corpus, seeds().join(target)]);
    let started = Instant::now();
    let output = fuzz.stdin(Stdio::null()).output().context("cannot start the fuzzer")?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "{}\n{}\n    the input is in {}; when the fault is mended, move it to {}",
            output.status,
            run::tail(&log),
            failures.display(),
            seeds().join(target).display()
        );
    }
    let count = log.lines().find_map(|line| line.strip_prefix(DONE)).unwrap_or_default().trim();
    Ok(format!("{count} inputs in {} s", started.elapsed().as_secs()))
}
