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
    /// How many pairs of interfaces each has.
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
        // All go with the namespace, but one whose name is used again before.
        let first = rtnetlink.add_veth("eth0")?;
        rtnetlink.attach(first)?;
        with_filters += 1;
        rtnetlink.delete(first)?;
        for link in 0..args.links {
            let index = rtnetlink.add_veth(&format!("eth{link}"))?;
            if (namespace * args.links + link).is_multiple_of(args.filters_every) {
                rtnetlink.attach(index)?;
                with_filters += 1;
            }
        }
        Ack::Busy { done: namespace }.send()?;
    }
    Ack::Done { count: with_filters }.send()
}
