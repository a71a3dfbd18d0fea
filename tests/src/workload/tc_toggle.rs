//! Calico's livelock before 3.28.5: add at the same priority, delete the old handle, for ever.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::Ack;
use crate::clock::Moment;
use crate::props::netns;
use crate::tc::{Direction, Interface};

/// Re-attach filters without end.
#[derive(Args)]
pub struct TcToggle {
    /// Network namespace to enter.
    #[arg(long)]
    netns: PathBuf,
    /// Interface whose filters are rewritten.
    #[arg(long)]
    dev: String,
    /// eBPF object with a section `classifier`; a classic program without.
    #[arg(long)]
    classifier: Option<PathBuf>,
    /// Pause between two cycles (ms).
    #[arg(long, default_value_t = 100)]
    pause_ms: u64,
}

/// Runs until it is killed.
pub fn run(args: &TcToggle) -> Result<()> {
    netns::enter(&args.netns)?;
    let interface = Interface::new(&args.dev, args.classifier.as_ref());
    interface.attach_first()?;
    let at = Moment::now();
    // One attach on one side only: from here on the handles of the two directions never agree.
    interface.reattach(Direction::Ingress)?;
    Ack::FirstBadAct { at }.send()?;
    loop {
        for direction in Direction::BOTH {
            interface.reattach(direction)?;
        }
        thread::sleep(Duration::from_millis(args.pause_ms));
    }
}
