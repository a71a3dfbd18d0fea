//! One thing an agent does with programs on an interface, by bpf(2).

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::{Ack, stay};
use crate::bpf::{self, Point};
use crate::clock::Moment;
use crate::props::netns;

/// Do something with programs on an interface, then stay.
#[derive(Args)]
pub struct BpfAgent {
    /// Network namespace to enter.
    #[arg(long)]
    netns: PathBuf,
    /// The interface.
    #[arg(long)]
    dev: String,
    /// Where to attach.
    #[arg(long, value_enum)]
    point: Point,
    /// Name of the program.
    #[arg(long)]
    program: String,
    /// What to do.
    #[arg(long, value_enum)]
    act: Act,
    /// How often.
    #[arg(long, default_value_t = 1)]
    count: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Act {
    /// Attach a newly loaded program.
    Attach,
    /// Attach a newly loaded program by a link, and keep it.
    Link,
    /// Attach a newly loaded program by a link, in place of the one before.
    Relink,
    /// Attach a newly loaded program, then detach the one before.
    Swap,
    /// Attach a program that is attached already.
    FailToAttach,
    /// Detach whatever program is first.
    DetachFirst,
}

/// Does it.
pub fn run(args: &BpfAgent) -> Result<()> {
    netns::enter(&args.netns)?;
    // Kernels before 5.11 charge programs to this limit; where it may not be raised, loading tells.
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let (point, index) = (args.point, bpf::ifindex(any.as_fd(), &args.dev)?);
    let load = || bpf::load(point, &args.program);
    let mut kept: Vec<OwnedFd> = Vec::new();
    let at = Moment::now();
    for _ in 0..args.count {
        match args.act {
            Act::Attach => bpf::attach(&load()?, index, point)?,
            Act::Link => kept.push(bpf::link(&load()?, index, point)?),
            Act::Relink => {
                kept.clear();
                kept.push(bpf::link(&load()?, index, point)?);
            }
            Act::Swap => {
                let new = load()?;
                bpf::attach(&new, index, point)?;
                for old in kept.drain(..) {
                    bpf::detach(&old, index, point)?;
                }
                kept.push(new);
            }
            Act::FailToAttach => {
                let program = bpf::first_program(point, index)?;
                let refused = bpf::attach(&program, index, point);
                ensure!(refused.is_err(), "a second attachment was accepted");
            }
            Act::DetachFirst => bpf::detach(&bpf::first_program(point, index)?, index, point)?,
        }
    }
    Ack::FirstBadAct { at }.send()?;
    Ack::Done { count: args.count }.send()?;
    stay()
}
