//! A healthy daemon that opens and closes its netlink sockets when it is told to.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::netlink::list_links;
use super::{Ack, stay};

/// Open netlink sockets; close them all, and open some more, when told.
#[derive(Args)]
pub struct Told {
    /// How many at first.
    #[arg(long)]
    count: u64,
    /// File whose coming tells it to close them.
    #[arg(long)]
    close: PathBuf,
    /// How many afterwards.
    #[arg(long)]
    again: u64,
    /// File whose coming tells it to open those.
    #[arg(long)]
    reopen: PathBuf,
}

/// Says each time that it is done.
pub fn run(args: &Told) -> Result<()> {
    let open = |count| (0..count).map(|_| list_links()).collect::<Result<Vec<_>>>();
    let held = open(args.count)?;
    Ack::Done { count: args.count }.send()?;
    wait_for(&args.close);
    drop(held);
    Ack::Done { count: args.count }.send()?;
    wait_for(&args.reopen);
    let _held = open(args.again)?;
    Ack::Done { count: args.again }.send()?;
    stay()
}

fn wait_for(file: &Path) {
    while !file.exists() {
        thread::sleep(Duration::from_millis(20));
    }
}
