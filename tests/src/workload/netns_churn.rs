//! Network namespaces that come and go by thousands, each with an eth0 of the same index, some of them with
//! filters: pods on a node that is too busy. By rtnetlink itself: a tool for each would take minutes.

use anyhow::{Context, Result};
use clap::Args;
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::Ack;
use crate::rtnetlink::Rtnetlink;

/// Create network namespaces with interfaces and filters, and leave each for the next.
#[derive(Args)]
pub struct Churn {
    /// How many namespaces.
    #[arg(long)]
    namespaces: u64,
    /// How many pairs of interfaces come and go in each.
    #[arg(long)]
    links: u64,
    /// One in so many pairs gets filters.
    #[arg(long)]
    filters_every: u64,
}

/// Acks the number of interfaces that had filters.
pub fn run(args: &Churn) -> Result<()> {
    let mut with_filters = 0;
    for namespace in 0..args.namespaces {
        // SAFETY: no fd table is unshared.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("cannot leave the namespace")?;
        let mut rtnetlink = Rtnetlink::open()?;
        for link in 0..args.links {
            let index = rtnetlink.add_veth("eth0")?;
            if (namespace * args.links + link) % args.filters_every == 0 {
                rtnetlink.attach(index)?;
                with_filters += 1;
            }
            // The last one goes with the namespace.
            if link + 1 < args.links {
                rtnetlink.delete(index)?;
            }
        }
    }
    Ack::Done { count: with_filters }.send()
}
