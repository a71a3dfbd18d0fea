//! Storms: what a node does tens of thousands of times a second when something goes wrong. Each counts
//! what the kernel answered.

use std::ffi::CString;
use std::mem;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

use super::fork::way::clone_bare;
use super::place::Place;
use super::{Ack, fd::limit_fds, stay};
use crate::clock::Moment;
use crate::props::netns;

/// A storm ends after this long with whatever it did: an emulated guest may take a millisecond a clone.
const LONGEST: Duration = Duration::from_secs(10);

/// Ask for tasks in a full cgroup, as fast as it goes.
#[derive(Args)]
pub struct ForkFlood {
    #[command(flatten)]
    place: Place,
    /// How many times at most.
    #[arg(long)]
    count: u64,
}

/// Open and close netlink sockets as fast as it goes, then hold some.
#[derive(Args)]
pub struct NetlinkFlood {
    /// How many are closed again, at most.
    #[arg(long)]
    churn: u64,
    /// How many are held.
    #[arg(long)]
    hold: u64,
}

/// Make and delete a clsact as fast as it goes.
#[derive(Args)]
pub struct TcFlood {
    /// Network namespace to enter.
    #[arg(long)]
    netns: PathBuf,
    /// The interface.
    #[arg(long)]
    dev: CString,
    /// How many times at most.
    #[arg(long)]
    count: u64,
}

/// Refused clones without a pause, then nothing.
pub fn fork(args: &ForkFlood) -> Result<()> {
    args.place.enter()?;
    let mut stack = [0; 1_024];
    Ack::FirstBadAct { at: Moment::now() }.send()?;
    let count = storm(args.count, || {
        let error = clone_bare(&mut stack).err();
        let refused = error.as_ref().is_some_and(|e| e.raw_os_error() == Some(libc::EAGAIN));
        ensure!(refused, "a clone was not refused for want of room: {error:?}");
        Ok(())
    })?;
    Ack::Done { count }.send()?;
    stay()
}

/// Sockets that come and go, then some that stay.
pub fn netlink(args: &NetlinkFlood) -> Result<()> {
    limit_fds(args.hold + 64)?;
    Ack::FirstBadAct { at: Moment::now() }.send()?;
    let closed = storm(args.churn, || route_socket().map(drop))?;
    let held = (0..args.hold).map(|_| bound_socket()).collect::<Result<Vec<_>>>()?;
    Ack::Done { count: 2 * closed + held.len() as u64 }.send()?;
    stay()
}

/// Requests without a pause, each accepted.
pub fn tc(args: &TcFlood) -> Result<()> {
    const RTM_NEWQDISC: u16 = 36;
    const RTM_DELQDISC: u16 = 37;
    const CREATE_EXCLUSIVE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
    netns::enter(&args.netns)?;
    // SAFETY: a NUL-terminated name that lives through the call.
    let index = unsafe { libc::if_nametoindex(args.dev.as_ptr()) };
    ensure!(index != 0, "there is no interface {:?}", args.dev);
    let socket = route_socket()?;
    Ack::FirstBadAct { at: Moment::now() }.send()?;
    let count = storm(args.count, || {
        ask(&socket, &clsact(RTM_NEWQDISC, CREATE_EXCLUSIVE, index))?;
        ask(&socket, &clsact(RTM_DELQDISC, 0, index))
    })?;
    Ack::Done { count: 2 * count }.send()?;
    stay()
}

/// Does something again and again; how often.
fn storm(most: u64, mut each: impl FnMut() -> Result<()>) -> Result<u64> {
    let began = Instant::now();
    let mut done = 0;
    while done < most && began.elapsed() < LONGEST {
        each()?;
        done += 1;
    }
    Ok(done)
}

fn route_socket() -> Result<OwnedFd> {
    // Protocol 0 of this family is NETLINK_ROUTE.
    socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
        .context("cannot open a netlink socket")
}

/// One as clients have it; what was never bound nor used is in no table of /proc.
fn bound_socket() -> Result<OwnedFd> {
    let socket = route_socket()?;
    bind(&socket, &SocketAddrNetlink::new(0, 0)).context("cannot bind a netlink socket")?;
    Ok(socket)
}

/// A request about the clsact of an interface: `struct nlmsghdr`, `struct tcmsg`, `TCA_KIND`.
fn clsact(nlmsg_type: u16, flags: u16, index: u32) -> [u8; 48] {
    const TC_H_CLSACT: u32 = 0xffff_fff1;
    const HANDLE: u32 = 0xffff_0000;
    const TCA_KIND: u16 = 1;
    let flags = flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
    let mut request = [0; 48];
    request[0..4].copy_from_slice(&47_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&nlmsg_type.to_ne_bytes());
    request[6..8].copy_from_slice(&flags.to_ne_bytes());
    request[20..24].copy_from_slice(&index.to_ne_bytes());
    request[24..28].copy_from_slice(&HANDLE.to_ne_bytes());
    request[28..32].copy_from_slice(&TC_H_CLSACT.to_ne_bytes());
    request[36..38].copy_from_slice(&11_u16.to_ne_bytes());
    request[38..40].copy_from_slice(&TCA_KIND.to_ne_bytes());
    request[40..47].copy_from_slice(b"clsact\0");
    request
}

/// Sends a request and reads the answer, `struct nlmsghdr` and the `int` of `struct nlmsgerr`.
fn ask(socket: &OwnedFd, request: &[u8]) -> Result<()> {
    send(socket, request, SendFlags::empty()).context("cannot send a request")?;
    let mut answer = [0; 512];
    recv(socket, &mut answer, RecvFlags::empty()).context("no answer to a request")?;
    const ERROR: usize = mem::size_of::<libc::nlmsghdr>();
    let error = answer[ERROR..].first_chunk().map_or(0, |error| i32::from_ne_bytes(*error));
    ensure!(error == 0, "a request was refused with errno {}", -error);
    Ok(())
}
