//! The journald sink and a real journald, which does without systemd as the first process. Needs root, for
//! a /run of its own.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::support::{
    agent::{Agent, NODE},
    capture::capture,
    ids::{exactly, id_of_line, nothing_lost_nor_reordered},
    programs,
    server::{Server, Site},
    until,
};

/// Where it listens, and where it keeps what it gets: of its own /run.
const SOCKET: &str = "run/systemd/journal/socket";
const JOURNAL: &str = "run/log/journal";

/// In a mount namespace of its own it has the site's directory as /run, and our configuration.
const SCRIPT: &str = "mount --bind \"$1\" /run && \
    mount --bind \"$2\" /etc/systemd/journald.conf && shift 2 && exec \"$@\"";

/// A journald that does without systemd.
fn make(site: &Site) -> Result<Command> {
    let (run, config) = (site.path("run"), site.path("journald.conf"));
    fs::create_dir_all(run.join("systemd/journal"))?;
    fs::write(&config, "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n")?;
    // What an earlier one left is no socket that anybody reads.
    if site.path(SOCKET).exists() {
        fs::remove_file(site.path(SOCKET))?;
    }
    let daemon = programs::of_debian("lib/systemd/systemd-journald")?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT, "sh"]).arg(run).arg(config);
    command.arg(daemon.get_program()).args(daemon.get_args());
    Ok(command)
}

fn ready(site: &Site) -> Result<()> {
    ensure!(site.path(SOCKET).exists(), "it has no socket yet");
    Ok(())
}

/// One that runs.
pub fn server() -> Result<Server> {
    Server::start("systemd-journald", 0, make, ready)
}

/// Where it listens, seen from here.
pub fn socket(site: &Site) -> PathBuf {
    site.path(SOCKET)
}

fn agent(site: &Site) -> Result<Agent> {
    let socket = socket(site);
    Agent::with_sink("journald", &format!("socket = {socket:?}"))
}

/// The entries of the agent, as journalctl has them.
fn entries(site: &Site) -> Result<Vec<Value>> {
    let mut journalctl = programs::of_debian("bin/journalctl")?;
    journalctl.arg("-D").arg(site.path(JOURNAL)).args([
        "-o",
        "json",
        "--all",
        "SYSLOG_IDENTIFIER=nodeprobe",
    ]);
    let output = journalctl.output()?;
    let text = String::from_utf8(output.stdout)?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "journalctl ended with {}: {error}", output.status);
    text.lines().map(|line| serde_json::from_str(line).context("no JSON")).collect()
}

pub fn ids(site: &Site) -> Result<Vec<String>> {
    let id = |entry: &Value| Ok(entry["NODEPROBE_ID"].as_str().context("no id")?.to_owned());
    entries(site)?.iter().map(id).collect()
}

#[test]
fn what_is_found_is_in_the_journal() -> Result<()> {
    let server = server()?;
    let agent = agent(server.site())?;
    let capture = capture(20)?;
    let running = agent.start(&capture)?;
    let pid = running.pid().to_string();
    let run = running.finish()?;
    // Its last words may be too short for all of it.
    agent.drain()?;
    until("all entries are there", || exactly(&run.ids, &ids(server.site())?))?;
    for entry in entries(server.site())? {
        let of = |name: &str| entry[name].as_str().unwrap_or_default();
        assert_eq!((of("_PID"), of("NODEPROBE_NODE")), (pid.as_str(), NODE));
        assert_eq!((of("_TRANSPORT"), of("_UID")), ("journal", "0"));
        assert_eq!(of("NODEPROBE_RULE"), "fork-failures");
        let (message_id, priority) = match of("NODEPROBE_STATE") {
            "firing" => ("d053bcb400844dd0a2a6820b5f77a64a", "2"),
            _ => ("fa8d358cb63041a9ba152876b68c810d", "5"),
        };
        assert_eq!((of("MESSAGE_ID"), of("PRIORITY")), (message_id, priority));
        assert_eq!(id_of_line(of("NODEPROBE_JSON"))?, of("NODEPROBE_ID"));
        ensure!(!of("MESSAGE").is_empty(), "journald took it for a blob: {entry}");
    }
    Ok(())
}

#[test]
fn a_journald_that_comes_after_the_incident_gets_it_all() -> Result<()> {
    let mut server = Server::stopped("systemd-journald", 0, make, ready)?;
    let agent = agent(server.site())?;
    let capture = capture(500)?;
    let mut running = agent.start(&capture)?;
    running.finds(1_000)?;
    running.says("No such file")?;
    server.up()?;
    let run = running.finish()?;
    until("all entries are there", || nothing_lost_nor_reordered(&run.ids, &ids(server.site())?))
}

/// Without systemd, which would hold the socket, what waits in it ends with journald.
#[test]
fn a_journald_that_restarts_in_the_middle_gets_all() -> Result<()> {
    let mut server = server()?;
    let agent = agent(server.site())?;
    let whole = capture(5_000)?;
    let mut running = agent.start(&whole)?;
    for records in [2_000, 5_000, 8_000] {
        running.finds(records)?;
        match records {
            5_000 => server.kill()?,
            _ => server.down()?,
        }
        server.up()?;
    }
    let found = running.finish()?.ids;
    agent.drain()?;
    until("all entries are there", || nothing_lost_nor_reordered(&found, &ids(server.site())?))
}
