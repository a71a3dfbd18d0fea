//! Calico's livelock before 3.28.5: add at the same priority, delete the old handle, for ever.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::Ack;
use super::tc_target::TcTarget;
use crate::clock::Moment;
use crate::tc::Direction;

/// Re-attach filters without end.
#[derive(Args)]
pub struct TcToggle {
    #[command(flatten)]
    target: TcTarget,
    /// Pause between two cycles (ms).
    #[arg(long, default_value_t = 100)]
    pause_ms: u64,
}

/// Runs until it is killed.
pub fn run(args: &TcToggle) -> Result<()> {
    let interface = args.target.enter()?;
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
