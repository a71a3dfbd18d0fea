//! An agent with many interfaces that writes all their filters again.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::{Ack, stay};
use crate::clock::Moment;
use crate::props::netns;
use crate::tc::{Direction, Interface, PRIORITY};

/// Attach to many interfaces, and write all their filters again.
#[derive(Args)]
pub struct TcSweep {
    /// Network namespace to enter.
    #[arg(long)]
    netns: PathBuf,
    /// The interfaces.
    #[arg(long)]
    dev: Vec<String>,
    /// eBPF object with a section `classifier`; a classic program without.
    #[arg(long)]
    classifier: Option<PathBuf>,
    /// Whether nothing is attached yet.
    #[arg(long)]
    attach: bool,
    /// How long to wait before the first round (ms).
    #[arg(long, default_value_t = 0)]
    after_ms: u64,
    /// How often to write all again.
    #[arg(long)]
    rounds: u64,
}

/// Does it, then stays.
pub fn run(args: &TcSweep) -> Result<()> {
    netns::enter(&args.netns)?;
    let interfaces: Vec<_> =
        args.dev.iter().map(|dev| Interface::new(dev, args.classifier.as_ref())).collect();
    if args.attach {
        interfaces.iter().try_for_each(Interface::attach_first)?;
    }
    thread::sleep(Duration::from_millis(args.after_ms));
    let at = Moment::now();
    for _ in 0..args.rounds {
        for interface in &interfaces {
            for direction in Direction::BOTH {
                interface.replace(direction, PRIORITY, "1")?;
            }
        }
    }
    Ack::FirstBadAct { at }.send()?;
    Ack::Done { count: args.rounds }.send()?;
    stay()
}
