//! Netlink sockets that go from one process to another, by each way there is.

use std::io::{IoSlice, IoSliceMut, Read, Write, stdin};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rustix::io::{FdFlags, dup, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getppid, pidfd_getfd, pidfd_open};

use super::netlink::list_links;
use super::{Ack, stay};
use crate::clock::Moment;

/// Sockets that go each way; `SCM_MAX_FD` of include/net/scm.h is 253.
const EACH_WAY: usize = 75;
/// dup, fork, `SCM_RIGHTS`, pidfd_getfd.
const WAYS: usize = 4;

/// Sockets that are handed on.
pub const HANDED_ON: u64 = (EACH_WAY * WAYS) as u64;

/// Hand netlink sockets on by every way there is, then close them.
#[derive(Args)]
pub struct Share {
    /// How many to open after that.
    #[arg(long, default_value_t = 0)]
    further: u64,
}

/// Keep the netlink sockets that the parent hands on.
#[derive(Args)]
pub struct Keep {
    /// Fds of the parent to take by pidfd_getfd.
    fds: Vec<RawFd>,
}

/// Gives all sockets away, closes its own fds for them, and opens more.
pub fn share(args: &Share) -> Result<()> {
    let sockets = (0..EACH_WAY * WAYS).map(|_| list_links()).collect::<Result<Vec<_>>>()?;
    let (duplicated, rest) = sockets.split_at(EACH_WAY);
    let (inherited, rest) = rest.split_at(EACH_WAY);
    let (sent, taken) = rest.split_at(EACH_WAY);
    for socket in inherited {
        fcntl_setfd(socket, FdFlags::empty()).context("cannot let a child inherit a socket")?;
    }
    let (mut ours, theirs) = UnixStream::pair().context("cannot make a pair of sockets")?;
    let _keeper = Command::new(std::env::current_exe()?)
        .args(["workload", "netlink-keep"])
        .args(taken.iter().map(|socket| socket.as_raw_fd().to_string()))
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start the keeper")?;
    send(&ours, sent)?;
    ours.read_exact(&mut [0]).context("the keeper did not take the sockets")?;
    let copies = duplicated.iter().map(dup).collect::<Result<Vec<_>, _>>();
    let _copies = copies.context("cannot duplicate a socket")?;
    drop(sockets);
    Ack::FirstBadAct { at: Moment::now() }.send()?;
    let _further = (0..args.further).map(|_| list_links()).collect::<Result<Vec<_>>>()?;
    Ack::Done { count: HANDED_ON + args.further }.send()?;
    stay()
}

/// Takes what it gets, and holds it.
pub fn keep(args: &Keep) -> Result<()> {
    let parent = getppid().context("there is no parent")?;
    let parent = pidfd_open(parent, PidfdFlags::empty()).context("cannot open the parent")?;
    let mut taken = Vec::new();
    for fd in &args.fds {
        let fd = pidfd_getfd(&parent, *fd, PidfdGetfdFlags::empty());
        taken.push(fd.context("cannot take a socket of the parent")?);
    }
    let channel = stdin().as_fd().try_clone_to_owned()?;
    let received = receive(&channel)?;
    ensure!(received.len() == EACH_WAY, "{} sockets came", received.len());
    UnixStream::from(channel).write_all(&[0]).context("the parent is gone")?;
    stay()
}

fn send(channel: &UnixStream, sockets: &[OwnedFd]) -> Result<()> {
    let fds: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(EACH_WAY))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    ensure!(control.push(SendAncillaryMessage::ScmRights(&fds)), "too many sockets at once");
    sendmsg(channel, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())
        .context("cannot send sockets")?;
    Ok(())
}

fn receive(channel: &OwnedFd) -> Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(EACH_WAY))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(channel, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .context("cannot receive sockets")?;
    let messages = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds.collect::<Vec<_>>()),
        _ => None,
    });
    Ok(messages.flatten().collect())
}
