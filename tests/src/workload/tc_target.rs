//! The interface a workload writes filters of.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::place::Place;
use crate::props::netns;
use crate::tc::Interface;

/// Where an interface is, and what is attached to it.
#[derive(Args)]
pub struct TcTarget {
    #[command(flatten)]
    place: Place,
    /// Network namespace to enter.
    #[arg(long)]
    netns: PathBuf,
    /// The interface.
    #[arg(long)]
    dev: String,
    /// eBPF object with a section `classifier`; a classic program without.
    #[arg(long)]
    classifier: Option<PathBuf>,
}

impl TcTarget {
    /// Enters the namespace for good.
    pub fn enter(&self) -> Result<Interface> {
        self.place.enter()?;
        netns::enter(&self.netns)?;
        Ok(Interface::new(&self.dev, self.classifier.as_ref()))
    }
}
