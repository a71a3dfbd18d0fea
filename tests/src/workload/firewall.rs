//! Writers of iptables' rules, by its real programs.

use std::io::Error;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use super::fork::{end, sleeper};
use super::place::Place;
use super::{Ack, stay};
use crate::clock::Moment;
use crate::exec;

/// A rule that neither backend needs an extension for.
const RULE: &str = "-A INPUT -s 192.0.2.7 -j ACCEPT";
/// Rules that Felix writes before it looks again.
const RULES: u64 = 10;

/// A backend of iptables.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Backend {
    Legacy,
    Nft,
}

impl Backend {
    fn program(self) -> &'static str {
        match self {
            Self::Legacy => "iptables-legacy",
            Self::Nft => "iptables-nft",
        }
    }

    /// Lines that its rules are, by what Felix takes for an answer: of a program that cannot be started
    /// there are none.
    fn rules(self) -> (usize, Option<Error>) {
        let mut save = Command::new(format!("{}-save", self.program()));
        match save.stdin(Stdio::null()).output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                (said.lines().filter(|line| line.starts_with('-')).count(), None)
            }
            Err(error) => (0, Some(error)),
        }
    }
}

/// Write rules, then stay.
#[derive(Args)]
pub struct Write {
    #[command(flatten)]
    place: Place,
    /// By which backends, one rule each.
    #[arg(long, value_enum, required = true)]
    by: Vec<Backend>,
}

/// Choose a backend where nothing can fork, then write by it where that works again, then stay.
#[derive(Args)]
pub struct Choose {
    #[command(flatten)]
    place: Place,
}

/// Writes a rule by each backend.
pub fn write(args: &Write) -> Result<()> {
    args.place.enter()?;
    let at = Moment::now();
    for by in &args.by {
        exec::run_words(by.program(), RULE)?;
    }
    Ack::FirstBadAct { at }.send()?;
    Ack::Done { count: args.by.len() as u64 }.send()?;
    stay()
}

/// Fills its cgroup, asks which backend has more rules, makes room, and writes.
pub fn choose(args: &Choose) -> Result<()> {
    args.place.enter()?;
    let mut children = Vec::new();
    while let Ok(child) = sleeper() {
        children.push(child);
    }
    let at = Moment::now();
    let ((legacy, refused), (nft, also)) = (Backend::Legacy.rules(), Backend::Nft.rules());
    for error in [refused, also] {
        let errno = error.as_ref().and_then(Error::raw_os_error);
        ensure!(errno == Some(libc::EAGAIN), "a program was started in a full cgroup: {error:?}");
    }
    let chosen = if legacy >= nft { Backend::Legacy } else { Backend::Nft };
    ensure!(chosen == Backend::Legacy, "0 >= 0, and yet nft was chosen");
    children.into_iter().try_for_each(end)?;
    for _ in 0..RULES {
        exec::run_words(chosen.program(), RULE).context("there is room again")?;
    }
    Ack::FirstBadAct { at }.send()?;
    Ack::Done { count: RULES }.send()?;
    stay()
}
