//! One thing an agent does to an interface's filters, done once.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use super::tc_target::TcTarget;
use super::{Ack, stay};
use crate::clock::Moment;
use crate::tc::{Direction, PRIORITY};

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

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Act {
    /// Attach the clsact and a filter each way.
    Attach,
    /// Attach the clsact where there is one already.
    FailToAttach,
    /// Add an ingress filter without a priority.
    PileUp,
    /// Delete the clsact with all that is in it.
    Detach,
    /// Put a filter at ingress, priority 1 and handle 1, whoever may be there.
    Take,
    /// Attach, then lose the egress filter.
    LoseEgress,
    /// Attach, then take the ingress filter away for a second.
    SwapSlowly,
    /// Attach at ingress only, and replace that filter in place.
    IngressOnly,
    /// Attach, attach ingress once more so that handles differ, then replace both in place without
    /// end: Calico from 3.28.5 to 3.30.
    Freeze,
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
            Act::Take => interface.replace(Direction::Ingress, "1", "1")?,
            Act::LoseEgress => {
                interface.attach_first()?;
                interface.detach(Direction::Egress)?;
            }
            Act::SwapSlowly => {
                interface.attach_first()?;
                interface.detach(Direction::Ingress)?;
                thread::sleep(Duration::from_secs(1));
                interface.add(Direction::Ingress)?;
            }
            Act::IngressOnly => {
                interface.attach_clsact()?;
                interface.add(Direction::Ingress)?;
                interface.replace(Direction::Ingress, PRIORITY, "1")?;
                interface.replace(Direction::Ingress, PRIORITY, "1")?;
            }
            Act::Freeze => {
                interface.attach_first()?;
                interface.reattach(Direction::Ingress)?;
            }
        }
    }
    Ack::FirstBadAct { at }.send()?;
    Ack::Done { count: args.count }.send()?;
    if args.act != Act::Freeze {
        stay()
    }
    loop {
        interface.replace(Direction::Ingress, PRIORITY, "2")?;
        interface.replace(Direction::Egress, PRIORITY, "1")?;
        thread::sleep(Duration::from_millis(500));
    }
}
