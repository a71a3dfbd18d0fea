//! Holders of netlink sockets: one that leaks, one that holds, one that closes.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

use super::place::Place;
use super::{Ack, fd::limit_fds, stay};
use crate::clock::Moment;
use crate::props::netns;

/// Open netlink sockets and never close them.
#[derive(Args)]
pub struct Leak {
    #[command(flatten)]
    place: Place,
    /// How many in all.
    #[arg(long)]
    count: u64,
    /// Pause between two (ms).
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// `RLIMIT_NOFILE` to have; unchanged if absent.
    #[arg(long)]
    nofile: Option<u64>,
}

/// Open netlink sockets once and hold them.
#[derive(Args)]
pub struct Hold {
    #[command(flatten)]
    place: Place,
    /// How many in this network namespace.
    #[arg(long, default_value_t = 0)]
    count: u64,
    /// Further network namespaces to hold one in each.
    netns: Vec<PathBuf>,
}

/// Open a netlink socket, use it, close it, again and again.
#[derive(Args)]
pub struct Churn {
    /// How many times.
    #[arg(long)]
    count: u64,
}

/// Calico's `findHostMTU`, faster: list the links, forget the socket.
pub fn leak(args: &Leak) -> Result<()> {
    args.nofile.map_or(Ok(()), limit_fds)?;
    args.place.enter()?;
    let mut forgotten = Vec::new();
    for number in 0..args.count {
        let at = Moment::now();
        forgotten.push(list_links()?);
        if number == 0 {
            Ack::FirstBadAct { at }.send()?;
        }
        thread::sleep(Duration::from_millis(args.pause_ms));
    }
    Ack::Done { count: args.count }.send()?;
    stay()
}

/// A healthy daemon: its sockets do not grow in number.
pub fn hold(args: &Hold) -> Result<()> {
    args.place.enter()?;
    let mut held = (0..args.count).map(|_| list_links()).collect::<Result<Vec<_>>>()?;
    let home = File::open("/proc/self/ns/net").context("cannot open this network namespace")?;
    for path in &args.netns {
        netns::enter(path)?;
        held.push(list_links()?);
    }
    netns::enter_file(&home).context("cannot return to the first network namespace")?;
    Ack::Done { count: held.len() as u64 }.send()?;
    stay()
}

/// A healthy client: every socket is closed after its use.
pub fn churn(args: &Churn) -> Result<()> {
    for _ in 0..args.count {
        list_links()?;
    }
    Ack::Done { count: args.count }.send()
}

/// `RTM_GETLINK` as a dump of all families: `struct nlmsghdr`, `struct rtgenmsg` padded to 4 bytes.
fn link_dump_request() -> [u8; 20] {
    const RTM_GETLINK: u16 = 18;
    const NLM_F_REQUEST_DUMP: u16 = 0x301;
    let mut request = [0; 20];
    request[0..4].copy_from_slice(&20_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&RTM_GETLINK.to_ne_bytes());
    request[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
    request
}

/// Opens a route socket, asks for all links, reads the first part of the answer.
pub fn list_links() -> Result<OwnedFd> {
    // Protocol 0 of this family is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
        .context("cannot open a netlink socket")?;
    bind(&socket, &SocketAddrNetlink::new(0, 0)).context("cannot bind a netlink socket")?;
    send(&socket, &link_dump_request(), SendFlags::empty()).context("cannot ask for the links")?;
    let mut answer = vec![0; 32 * 1024];
    recv(&socket, &mut answer, RecvFlags::empty()).context("the kernel did not list the links")?;
    Ok(socket)
}
