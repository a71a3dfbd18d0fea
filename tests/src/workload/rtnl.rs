//! Users of the RTNL mutex: one that has it for long, others that need it for a moment.

use std::fs;
use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result, anyhow};
use clap::Args;

use super::Ack;
use crate::clock::Moment;
use crate::exec;
use crate::props::netns;

/// Group that all the links are in, so that one request deletes them.
const GROUP: u32 = 7;

/// Make many links, delete them all in one request, without end.
#[derive(Args)]
pub struct Storm {
    /// Network namespace to enter.
    #[arg(long)]
    netns: PathBuf,
    /// Pairs of links.
    #[arg(long)]
    pairs: u32,
}

/// Change something small of a link again and again, several at a time.
#[derive(Args)]
pub struct Touch {
    /// Network namespace to enter.
    #[arg(long)]
    netns: PathBuf,
    /// How many at a time.
    #[arg(long)]
    threads: u32,
}

/// Look at the links again and again.
#[derive(Args)]
pub struct Show {
    /// How often.
    #[arg(long)]
    count: u64,
}

/// Runs until it is killed.
pub fn storm(args: &Storm) -> Result<()> {
    netns::enter(&args.netns)?;
    let batch = tempfile::NamedTempFile::new().context("cannot create a temporary file")?;
    let lines: Vec<String> = (0..args.pairs)
        .map(|n| {
            format!("link add storm{n} group {GROUP} type veth peer name peer{n} group {GROUP}")
        })
        .collect();
    fs::write(&batch, lines.join("\n") + "\n").context("cannot write what ip is to do")?;
    let batch = batch.path().display().to_string();
    Ack::FirstBadAct { at: Moment::now() }.send()?;
    loop {
        exec::run("ip", &["-batch", &batch])?;
        exec::run_words("ip", &format!("link del group {GROUP}"))?;
    }
}

/// Runs until it is killed.
pub fn touch(args: &Touch) -> Result<()> {
    netns::enter(&args.netns)?;
    Ack::FirstBadAct { at: Moment::now() }.send()?;
    thread::scope(|scope| {
        let work = || loop {
            exec::run_words("ip", "link set dev lo txqueuelen 1000")?;
        };
        let threads: Vec<_> = (0..args.threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
    })
}

/// Runs until it has looked so often.
pub fn show(args: &Show) -> Result<()> {
    for _ in 0..args.count {
        exec::run_words("ip", "link show")?;
    }
    Ack::Done { count: args.count }.send()
}
