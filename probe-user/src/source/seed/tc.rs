//! The snapshot of tc: what clsact qdiscs there are at the agent's start, and which filters they hold,
//! told as the requests that would make them.
//!
//! It runs after the hooks were attached, on a thread of its own, as entering a namespace is a
//! thread's affair; so it keeps neither the start nor the ring waiting. Each interface comes with
//! the time of the look at it, by which the detector puts it between the events.

use std::{fs::File, io, os::fd::AsRawFd, thread, time::Duration};

use probe_common::{
    bpf::ProgramRecord,
    tc::{IFNAME_LEN, TcRecord, rtm},
    wire::{Header, flag, kind},
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::{
    event::BootNs,
    findings::clock::boot_now,
    signals::tc::link::{CLSACT, EGRESS, INGRESS},
};

pub(crate) mod namespaces;
pub(crate) mod rtnetlink;

use namespaces::Namespaces;
use rtnetlink::{Object, Rtnetlink};

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

/// What was found: an interface, or something that could not be read.
pub enum Found {
    /// Its filters, then its clsact.
    Link(Vec<TcRecord>),
    Miss,
}

/// The near end of the snapshot's thread.
pub struct Snapshot(Receiver<Found>);

impl Snapshot {
    /// Waits for more; `None` when all was told.
    pub async fn next(&mut self) -> Option<Found> {
        self.0.recv().await
    }
}

/// Starts to look.
///
/// # Errors
/// When the thread cannot be made.
pub fn start() -> io::Result<Snapshot> {
    let (to, from) = channel(QUEUE);
    for pause in [Duration::ZERO, AGAIN] {
        let mut look = Look { to: to.clone(), links: 0, namespaces: 0 };
        // A thread each: it ends in another namespace than it began in.
        let work = move || {
            thread::sleep(pause);
            if look.everywhere().is_ok() {
                let Look { links, namespaces, .. } = look;
                log::debug!("found {links} clsact qdiscs in {namespaces} network namespaces");
            }
        };
        thread::Builder::new().name("tc-snapshot".into()).stack_size(256 * 1024).spawn(work)?;
    }
    Ok(Snapshot(from))
}

/// Nobody listens any more.
struct Ended;

struct Look {
    to: Sender<Found>,
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

fn records(
    (netns, netns_cookie): (u32, u64),
    ifindex: i32,
    from: BootNs,
    until: BootNs,
    filters: &[Object],
) -> Vec<TcRecord> {
    let ifname = name(ifindex);
    let record = |nlmsg_type, object: &Object| TcRecord {
        header: Header {
            kind: kind::TC_REQUEST,
            len: size_of::<TcRecord>() as u16,
            flags: flag::SEEDED,
            ts_ns: from,
            netns,
            ..Header::default()
        },
        nlmsg_type,
        nlmsg_flags: (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16,
        ret: 0,
        ifindex,
        parent: object.parent,
        handle: object.handle,
        info: object.info,
        netns_cookie,
        duration_ns: until.saturating_sub(from).max(1),
        started_ns: 0,
        parent_started_ns: 0,
        parent_tgid: 0,
        parent_comm: [0; _],
        ifname,
        kind: object.kind,
        message: [0; _],
        program: ProgramRecord::default(),
        source: [0; _],
    };
    let clsact = Object { parent: CLSACT, kind: padded(b"clsact"), ..Object::default() };
    let filters = filters.iter().map(|filter| record(rtm::NEWTFILTER, filter));
    filters.chain([record(rtm::NEWQDISC, &clsact)]).collect()
}

/// Name of an interface of this thread's namespace; empty when it is gone.
fn name(ifindex: i32) -> [u8; IFNAME_LEN] {
    let mut name = [0; IFNAME_LEN];
    let index = u32::try_from(ifindex).unwrap_or(0);
    // SAFETY: the array has the IF_NAMESIZE bytes that if_indextoname(3) may write.
    unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    name
}

/// Text in an array, cut so that the last byte stays NUL.
fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.iter_mut().take(N.saturating_sub(1)).zip(text).for_each(|(to, from)| *to = *from);
    array
}

#[cfg(test)]
mod tests;
