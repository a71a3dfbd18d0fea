//! Which function leaks: the question Calico's users could not answer for months, in a stripped Go
//! binary in a container (projectcalico/calico#9603), and its like in C and Rust.

use std::ffi::OsString;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::props::leaker;
use crate::scenario::{Act, Played, Props, Quiet, Scenario, Silence, Stage};

/// Sockets a leaker opens; critical at once in the agent's defaults.
const LEAKED: u64 = 600;
/// Sockets of a critical finding whose birthplace must be known: all but the first of the process.
const KNOWN: u64 = 500;
/// Sockets of a daemon whose stacks are noted, but that does not leak.
const STEADY: u64 = 20;

/// How texts of the finding must begin, by their JSON pointers.
type Frames = &'static [(&'static str, &'static str)];

const FRAME: &str = "/evidence/birthplaces/0/frames/0";
const CALLER: &str = "/evidence/birthplaces/0/frames/1";
const UNREADABLE: &str = "/evidence/birthplaces/0/unreadable";

const OF_C: Frames = &[(FRAME, "find_host_mtu+"), (CALLER, "apply_dataplane+")];
const OF_C_BARE: Frames = &[(FRAME, "leaky-c-bare+0x"), (UNREADABLE, "the stack is cut short")];
const OF_RUST: Frames = &[(FRAME, "leaky::dataplane::Dataplane::find_host_mtu+")];
const OF_GO: Frames =
    &[(FRAME, "main.findHostMTU (leaky.go:"), (CALLER, "main.(*dataplane).apply (")];

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "netlink-birthplace",
    summary: "C, Rust and Go programs leak netlink sockets, stripped and in a container too",
    expected: "netlink-leak critical about each, naming the function that opens the sockets",
    config: "[netlink]\nhold = \"2s\"\n",
    prelude: None,
    quiet: &[DAEMONS],
    acts: &[
        act("a C program with frame pointers leaks", of_c),
        act("a stripped C program without them leaks", of_c_bare),
        act("a Rust program leaks", of_rust),
        act("a Go program leaks", of_go),
        act("a stripped position-independent Go program leaks", of_go_pie),
        act("a stripped Go program in a container leaks", of_go_contained),
    ],
};

const fn act(summary: &'static str, play: fn(&Stage) -> Result<Played>) -> Act {
    Act { summary, play, resolves: false }
}

/// Daemons whose sockets are looked at closely, and are no leak.
pub const DAEMONS: Quiet = Quiet {
    summary: "daemons in C and Go that hold 20 sockets each",
    signal: "netlink",
    play: daemons,
};

fn of_c(_: &Stage) -> Result<Played> {
    play("leaky-c", None, OF_C)
}

fn of_c_bare(_: &Stage) -> Result<Played> {
    play("leaky-c-bare", None, OF_C_BARE)
}

fn of_rust(_: &Stage) -> Result<Played> {
    play("leaky-rust", None, OF_RUST)
}

fn of_go(_: &Stage) -> Result<Played> {
    play("leaky-go", None, OF_GO)
}

fn of_go_pie(_: &Stage) -> Result<Played> {
    play("leaky-go-pie", None, OF_GO)
}

fn of_go_contained(_: &Stage) -> Result<Played> {
    play("leaky-go-bare", Some(root()?), OF_GO)
}

/// Lets a program leak; the finding must name these frames.
fn play(name: &str, root: Option<TempDir>, frames: Frames) -> Result<Played> {
    let mut leaky = start(name, LEAKED, root.as_ref())?;
    let since = leaky.first_bad_act()?;
    let about_it = Expectation::firing("netlink-leak")
        .severity(Severity::Critical)
        .is("/subject/process/pid", leaky.pid())
        .is("/subject/process/comm", name)
        .at_least("/evidence/birthplaces/0/open", KNOWN)
        .at_least("/evidence/birthplaces/0/percent", 90);
    let named = |expected: Expectation, (pointer, begin): &(&'static str, &str)| {
        expected.begins_with(pointer, *begin)
    };
    let expected = frames.iter().fold(about_it, named);
    Ok(Played { since, expected: vec![expected], props: vec![Box::new(leaky), Box::new(root)] })
}

fn start(name: &str, count: u64, root: Option<&TempDir>) -> Result<Actor> {
    let mut args: Vec<OsString> = vec!["leaker".into(), "--count".into(), count.to_string().into()];
    if let Some(root) = root {
        args.extend(["--root".into(), root.path().into()]);
    }
    args.push(leaker::program(name)?.into());
    Actor::start(name, args)
}

/// Where a container's root is mounted, in a mount namespace of its own.
fn root() -> Result<TempDir> {
    tempfile::tempdir().context("cannot create a temporary directory")
}

fn daemons(_: &Stage) -> Result<Silence> {
    let mut props = Props::new();
    for name in ["leaky-c", "leaky-go"] {
        props.push(Box::new(start(name, STEADY, None)?));
    }
    Ok(Silence { events: 2 * STEADY, props })
}
