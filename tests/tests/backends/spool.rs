//! The spool: what was found while the other side was away is there when it is back, whatever became of
//! the agent in between. The other side is a file, and `/dev/full` while it is away.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::support::{
    agent::{Agent, ON_THE_WAY, Run},
    capture::{capture, empty},
    ids::{exactly, id_of_line, nothing_lost_nor_reordered},
    until,
};

/// An agent whose sink called `test` writes to this file, with a spool.
fn configure(agent: &Agent, path: &Path) -> Result<()> {
    agent.configure(&format!(
        "[sinks.test.batch]\nrecords = 10\n\
         [sinks.test.spool]\nenabled = true\nmax_mib = 256\n\
         [sinks.test.file]\nrotate_mib = 0\npath = {path:?}\n"
    ))
}

fn away(agent: &Agent) -> Result<()> {
    configure(agent, Path::new("/dev/full"))
}

/// The other side is back, and stays until all that waits is handed over. Returns what it has then.
fn back(agent: &Agent) -> Result<(Run, Vec<String>)> {
    let file = agent.path("findings.jsonl");
    configure(agent, &file)?;
    let run = agent.replay(&empty()?)?;
    Ok((run, arrived(&file)?))
}

/// Ids of the whole lines of a file.
fn arrived(file: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(file).context("nothing arrived")?;
    // A line that the agent was killed in is none.
    Ok(text.lines().filter_map(|line| id_of_line(line).ok()).collect())
}

fn segments(agent: &Agent) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(agent.path("spool/test"))?.map(|file| Ok(file?.path()));
    let mut files = files.collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "segment"));
    files.sort();
    Ok(files)
}

#[test]
fn all_of_an_incident_arrives_after_it() -> Result<()> {
    let agent = Agent::new("")?;
    away(&agent)?;
    let run = agent.replay(&capture(10_000)?)?;
    ensure!(run.ids.len() == 20_000);
    ensure!(run.log.contains("20000 records wait in the spool for the next start"), "{}", run.log);
    let (_, arrived) = back(&agent)?;
    exactly(&run.ids, &arrived)?;
    ensure!(arrived == run.ids, "in another order");
    ensure!(segments(&agent)?.is_empty(), "what arrived is still there");
    Ok(())
}

#[test]
fn what_was_spooled_survives_a_kill_while_it_is_written() -> Result<()> {
    let agent = Agent::new("")?;
    away(&agent)?;
    let capture = capture(10_000)?;
    let mut running = agent.start(&capture)?;
    running.finds(7_000)?;
    let found = running.kill()?.ids;
    let (_, arrived) = back(&agent)?;
    // Ids are the same each time: what comes is all there was, up to where it was killed.
    let whole = Agent::new("")?.replay(&capture)?.ids;
    ensure!(arrived.len() + ON_THE_WAY > found.len(), "{} of {}", arrived.len(), found.len());
    ensure!(whole.starts_with(&arrived), "lost, doubled or reordered");
    Ok(())
}

#[test]
fn all_arrives_however_often_it_is_killed_while_it_hands_over() -> Result<()> {
    let agent = Agent::new("")?;
    away(&agent)?;
    let found = agent.replay(&capture(5_000)?)?.ids;
    let file = agent.path("findings.jsonl");
    configure(&agent, &file)?;
    let nothing = empty()?;
    for kill in 1..4 {
        let running = agent.start(&nothing)?;
        until("some of it arrives", || {
            ensure!(arrived(&file)?.len() > kill * 1_000);
            Ok(())
        })?;
        running.kill()?;
    }
    let (_, arrived) = back(&agent)?;
    nothing_lost_nor_reordered(&found, &arrived)
}

#[test]
fn damage_costs_what_it_hit_and_is_told_with_its_place() -> Result<()> {
    let agent = Agent::new("")?;
    away(&agent)?;
    let found = agent.replay(&capture(1_000)?)?.ids;
    let segments = segments(&agent)?;
    ensure!(segments.len() > 2, "{segments:?}");
    let mut bytes = fs::read(&segments[1])?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(&segments[1], bytes)?;
    let last = segments.last().context("no segment")?;
    let length = fs::metadata(last)?.len();
    fs::OpenOptions::new().write(true).open(last)?.set_len(length - 1)?;
    let (run, arrived) = back(&agent)?;
    ensure!(arrived.len() == found.len() - 2, "{} of {}", arrived.len(), found.len());
    let file = segments[1].file_name().context("no name")?.to_string_lossy();
    ensure!(run.log.contains(&format!("{file}: is corrupt: ")), "{}", run.log);
    ensure!(run.log.contains("ends within a record, as after a kill"), "{}", run.log);
    let left: Vec<_> = found.iter().filter(|id| arrived.contains(id)).collect();
    ensure!(left.into_iter().eq(&arrived), "in another order");
    Ok(())
}

#[test]
fn a_spool_that_cannot_be_is_said_and_nothing_else_fails() -> Result<()> {
    let agent = Agent::new("")?;
    fs::write(agent.path("spool"), "in the way")?;
    let file = agent.path("findings.jsonl");
    configure(&agent, &file)?;
    let run = agent.replay(&capture(20)?)?;
    exactly(&run.ids, &arrived(&file)?)?;
    ensure!(run.log.contains("make it a directory that nodeprobe can write to"), "{}", run.log);
    Ok(())
}

#[test]
fn two_agents_never_use_one_spool() -> Result<()> {
    let agent = Agent::new("")?;
    away(&agent)?;
    let long = capture(10_000)?;
    let mut first = agent.start(&long)?;
    first.finds(1)?;
    until("the first has its spool", || Ok(fs::metadata(agent.path("spool/test/cursor"))?))?;
    first.signal(Signal::STOP)?;
    let file = agent.path("findings.jsonl");
    configure(&agent, &file)?;
    let second = agent.replay(&capture(20)?)?;
    let expected = format!("another nodeprobe uses it (process {}); end that one", first.pid());
    ensure!(second.log.contains(&expected), "{}", second.log);
    exactly(&second.ids, &arrived(&file)?)
}
