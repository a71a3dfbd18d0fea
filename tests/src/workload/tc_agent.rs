//! One thing an agent does to an interface's filters, done once.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use super::tc_target::TcTarget;
use super::{Ack, stay};
use crate::clock::Moment;
use crate::tc::Direction;

/// Do something to the filters of an interface, then stay.
#[derive(Args)]
pub struct TcAgent {
    #[command(flatten)]
    target: TcTarget,
    /// What to do.
    #[arg(long, value_enum)]
    act: Act,
    /// How often.
    #[arg(long, default_value_t = 1)]
    count: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Act {
    /// Attach the clsact and a filter each way.
    Attach,
    /// Attach the clsact where there is one already.
    FailToAttach,
    /// Add an ingress filter without a priority.
    PileUp,
    /// Delete the clsact with all that is in it.
    Detach,
}

/// Does it.
pub fn run(args: &TcAgent) -> Result<()> {
    let interface = args.target.enter()?;
    let at = Moment::now();
    for _ in 0..args.count {
        match args.act {
            Act::Attach => interface.attach_first()?,
            Act::FailToAttach => {
                ensure!(interface.attach_clsact().is_err(), "a second clsact was accepted");
            }
            Act::PileUp => interface.add_without_priority(Direction::Ingress)?,
            Act::Detach => interface.detach_clsact()?,
        }
    }
    Ack::FirstBadAct { at }.send()?;
    Ack::Done { count: args.count }.send()?;
    stay()
}
