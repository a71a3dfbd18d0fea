//! The snapshot of tc: what clsact qdiscs there are at the agent's start, and which filters they hold,
//! told as the requests that would make them.
//!
//! It runs after the hooks were attached, and again after records of tc were lost, on a thread of its
//! own, as entering a namespace is a thread's affair; so it keeps neither the start nor the ring
//! waiting. Each interface comes with the time of the look at it, by which the detector puts it
//! between the events.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    sync::mpsc::{self, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use probe_common::tc::TcRecord;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::{
    event::BootNs,
    findings::clock::boot_now,
    kernel::rtnetlink::{Object, Rtnetlink},
    signals::tc::link::{EGRESS, INGRESS},
    supervise::{End, Part, Supervisor, Turns, heartbeat::Heartbeat},
};

pub(crate) mod namespaces;
mod records;

use namespaces::Namespaces;
use records::records;

/// Interfaces that may wait for the pipeline.
const QUEUE: usize = 64;
/// Interfaces looked at, as many as the detector remembers; more are misses.
const MOST_LINKS: usize = 4_096;
/// Filters taken of one direction; more are a miss, and the interface stays unknown.
const MOST_FILTERS: usize = 1_024;
/// Looks at an interface whose filters change meanwhile.
const TRIES: usize = 3;

/// When all is looked at once more: what changed during the first look, or before its answer could be
/// taken in, is not known after that. What is known then is left alone.
const AGAIN: Duration = Duration::from_secs(2);
/// Least time between two snapshots, however many records get lost.
const PAUSE: Duration = Duration::from_secs(5);

/// The thread that looks. Stuck on a node whose RTNL mutex is held for long, which a restart would not
/// change.
const PART: Part = Part {
    name: "tc-snapshot",
    end: End::WhenDone,
    help: "what tc holds already stays unknown without it: start nodeprobe again",
    turns: Some(Turns { within: Duration::from_secs(60), vital: false }),
};

/// What was found: an interface, or something that could not be read.
pub enum Found {
    /// Its filters, then its clsact.
    Link(Vec<TcRecord>),
    Miss,
}

/// The near end of the snapshot's thread.
pub struct Snapshot {
    found: Receiver<Found>,
    ask: SyncSender<()>,
}

impl Snapshot {
    /// Waits for more; `None` when there will never be.
    pub async fn next(&mut self) -> Option<Found> {
        self.found.recv().await
    }

    /// Asks for another one: something was missed.
    pub fn again(&self) {
        // One that is asked for already will do.
        let _ = self.ask.try_send(());
    }
}

/// Starts to look.
///
/// # Errors
/// When the thread cannot be made.
pub fn start(supervisor: &mut Supervisor) -> io::Result<Snapshot> {
    let (to, found) = channel(QUEUE);
    let (ask, asked) = sync_channel(1);
    let home = File::open("/proc/self/ns/net")?;
    supervisor.thread(PART, 256 * 1024, move |beat| {
        work(&to, &asked, &home, beat);
        Ok(())
    })?;
    Ok(Snapshot { found, ask })
}

/// Looks now, and whenever it is asked to, until nobody listens any more.
fn work(to: &Sender<Found>, asked: &mpsc::Receiver<()>, home: &File, beat: &Heartbeat) {
    loop {
        for pause in [Duration::ZERO, AGAIN] {
            beat.rest();
            thread::sleep(pause);
            let mut look = Look { to: to.clone(), beat: beat.clone(), links: 0, namespaces: 0 };
            if look.everywhere().is_err() {
                return;
            }
            let Look { links, namespaces, .. } = look;
            log::debug!("found {links} clsact qdiscs in {namespaces} network namespaces");
            // A thread that stays in a namespace keeps it alive.
            if let Err(error) = enter(home)
                && namespaces > 1
            {
                return log::warn!(
                    "cannot leave a network namespace: {error}; no more snapshots of tc"
                );
            }
        }
        beat.rest();
        thread::sleep(PAUSE);
        if asked.recv().is_err() {
            return;
        }
    }
}

/// Nobody listens any more.
struct Ended;

struct Look {
    to: Sender<Found>,
    beat: Heartbeat,
    links: usize,
    namespaces: usize,
}

impl Look {
    fn everywhere(&mut self) -> Result<(), Ended> {
        let mut namespaces = Namespaces::default();
        // The own one first: it needs no entering.
        match namespaces.own() {
            Ok(inode) => self.inside(inode)?,
            Err(error) => self.miss(&error)?,
        }
        while let Some(next) = namespaces.next() {
            let entered = next.and_then(|(inode, file)| enter(&file).map(|()| inode));
            match entered {
                Ok(inode) => self.inside(inode)?,
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                    log::warn!(
                        "other network namespaces cannot be entered: {error}; their tc state stays \
                         unknown until it changes"
                    );
                    return self.send(Found::Miss);
                }
                Err(error) => self.miss(&error)?,
            }
        }
        for _ in 0..namespaces.misses() {
            self.send(Found::Miss)?;
        }
        Ok(())
    }

    /// Looks at the namespace that this thread is in.
    fn inside(&mut self, inode: u32) -> Result<(), Ended> {
        self.beat.turn();
        self.namespaces += 1;
        let links = Rtnetlink::open().and_then(|mut rtnetlink| {
            let links = clsacts(&mut rtnetlink)?;
            Ok((rtnetlink, links))
        });
        let (mut rtnetlink, links) = match links {
            Ok(found) => found,
            Err(error) => return self.miss(&error),
        };
        let cookie = rtnetlink.netns_cookie();
        for ifindex in links {
            self.beat.turn();
            if self.links == MOST_LINKS {
                self.send(Found::Miss)?;
                continue;
            }
            match filters(&mut rtnetlink, ifindex) {
                Ok((from, filters)) => {
                    self.links += 1;
                    let netns = (inode, cookie);
                    self.send(Found::Link(records(netns, ifindex, from, boot_now(), &filters)))?;
                }
                Err(error) => self.miss(&error)?,
            }
        }
        Ok(())
    }

    /// Counts what could not be read; a process, a namespace or an interface may be gone by then.
    fn miss(&self, error: &io::Error) -> Result<(), Ended> {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH | libc::ENODEV) => Ok(()),
            _ => self.send(Found::Miss),
        }
    }

    fn send(&self, found: Found) -> Result<(), Ended> {
        self.to.blocking_send(found).map_err(|_| Ended)
    }
}

/// Moves this thread into a network namespace.
fn enter(namespace: &File) -> io::Result<()> {
    // SAFETY: the fd is open; the call changes nothing but this thread's namespace.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Indices of the interfaces that have a clsact.
fn clsacts(rtnetlink: &mut Rtnetlink) -> io::Result<Vec<i32>> {
    let mut links = Vec::new();
    // An interface that a walk passes over while others change is in the next one.
    for _ in 0..TRIES {
        let whole = rtnetlink.qdiscs(|object| {
            if object.is("clsact") && links.len() <= MOST_LINKS && !links.contains(&object.ifindex)
            {
                links.push(object.ifindex);
            }
        })?;
        if whole {
            break;
        }
    }
    Ok(links)
}

/// The filters of an interface's clsact, and when the look at them began.
fn filters(rtnetlink: &mut Rtnetlink, ifindex: i32) -> io::Result<(BootNs, Vec<Object>)> {
    for _ in 0..TRIES {
        let (from, mut filters) = (boot_now(), Vec::new());
        let mut whole = true;
        for parent in [INGRESS, EGRESS] {
            let mut room = MOST_FILTERS;
            whole &= rtnetlink.filters(ifindex, parent, |object| {
                // A filter of kind bpf has a handle; the entry without one stands for its priority.
                if object.chain == 0 && object.is("bpf") == (object.handle != 0) && room > 0 {
                    filters.push(object);
                    room -= 1;
                }
            })?;
            if room == 0 {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
        }
        if whole {
            return Ok((from, filters));
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}

#[cfg(test)]
mod tests;
