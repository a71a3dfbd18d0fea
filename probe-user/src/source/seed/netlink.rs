//! /proc as a source: the netlink sockets that were open before the hooks were there, and those that
//! there are after records were lost.
//!
//! Not found: sockets that were never bound nor used, which no table lists, and those of a namespace
//! that no process is in.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process,
};

use probe_common::{
    netlink::NetlinkRecord,
    wire::{COMM_LEN, Header, flag, kind},
};
use rustc_hash::{FxHashMap, FxHashSet};

use held::Held;

use super::number;
use crate::{
    decode::as_bytes,
    enrich::cgroup::PidsHierarchy,
    event::{BootNs, HeldSockets},
    findings::clock::boot_now,
};

mod held;

/// Sockets looked for at once, as many as the detector remembers; more are misses.
const MOST: usize = 65_536;

/// Times a table is read: the kernel may pass over a row while others come and go (its walk through
/// the hash table starts anew with each read(2)), but hardly the same one twice.
const PASSES: usize = 2;

/// Hands over an open record for each netlink socket that a process holds. One that several hold
/// counts for the lowest pid. `by_inode` says whether the kernel side's records name sockets by their
/// inode; where they do not, none is handed over, as it would never be seen closing.
///
/// # Errors
/// When there is no /proc to read.
pub fn sockets(
    hierarchy: Option<&PidsHierarchy>,
    by_inode: bool,
    mut each: impl FnMut(&[u8]),
) -> io::Result<Look> {
    let cgroup = |pid| hierarchy.and_then(|hierarchy| hierarchy.of_process(pid)).unwrap_or(0);
    let bounds = Bounds { own: process::id(), most: MOST, by_inode };
    scan(Path::new("/proc"), bounds, cgroup, |record| {
        if by_inode {
            each(record);
        }
    })
}

/// What a look at /proc showed beside the sockets it handed over.
#[derive(Debug)]
pub struct Look {
    /// When it began.
    pub at: BootNs,
    /// Sockets there are, of all families.
    pub held: HeldSockets,
    /// How many things could not be read; what vanishes meanwhile is none of them.
    pub misses: u64,
}

/// What is looked for.
#[derive(Clone, Copy)]
struct Bounds {
    /// The process that is left out.
    own: u32,
    most: usize,
    by_inode: bool,
}

fn scan(
    proc: &Path,
    bounds: Bounds,
    cgroup: impl Fn(u32) -> u64,
    mut each: impl FnMut(&[u8]),
) -> io::Result<Look> {
    let mut pids: Vec<u32> = fs::read_dir(proc)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != bounds.own)
        .collect();
    pids.sort_unstable();
    let mut scan = Scan::new(bounds);
    let directories: Vec<(u32, PathBuf)> =
        pids.into_iter().map(|pid| (pid, proc.join(pid.to_string()))).collect();
    // All namespaces first: a process may hold sockets of others than its own. What is opened after
    // its table was read is seen by the hooks.
    for (_, process) in &directories {
        scan.note_namespace(process);
    }
    for (pid, process) in &directories {
        scan.find_held(*pid, process, &cgroup, &mut each);
    }
    Ok(scan.look())
}

/// A netlink socket as its namespace lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listed {
    netns: u32,
    protocol: u32,
}

/// A process that holds sockets.
#[derive(Clone, Copy, Debug)]
struct Holder {
    pid: u32,
    comm: [u8; COMM_LEN],
    /// Id of its cgroup; 0 when unknown.
    cgroup: u64,
}

struct Scan {
    most: usize,
    at: BootNs,
    namespaces: FxHashSet<u32>,
    /// By inode; a socket leaves when a holder was found.
    listed: FxHashMap<u64, Listed>,
    held: Held,
    misses: u64,
}

impl Scan {
    fn new(bounds: Bounds) -> Self {
        Self {
            most: bounds.most,
            at: boot_now(),
            namespaces: FxHashSet::default(),
            listed: FxHashMap::default(),
            held: Held::new(bounds.by_inode),
            misses: 0,
        }
    }

    /// Reads the table of a process's namespace, unless that was done through another process.
    fn note_namespace(&mut self, process: &Path) {
        let link = fs::read_link(process.join("ns/net"));
        let netns = link.map(|link| link.to_str().and_then(|link| number(link, "net")));
        match netns {
            Ok(Some(netns)) if self.namespaces.contains(&netns) => {}
            Ok(Some(netns)) => {
                let table = process.join("net/netlink");
                match (0..PASSES).try_for_each(|pass| self.read_table(&table, netns, pass == 0)) {
                    Ok(()) => drop(self.namespaces.insert(netns)),
                    Err(error) => self.miss(&error),
                }
            }
            Ok(None) => self.misses += 1,
            Err(error) => self.miss(&error),
        }
    }

    fn read_table(&mut self, table: &Path, netns: u32, first: bool) -> io::Result<()> {
        // The first line names the columns.
        for line in BufReader::new(File::open(table)?).lines().skip(1) {
            match row(&line?) {
                Some((protocol, inode)) if self.listed.len() < self.most => {
                    self.listed.insert(inode, Listed { netns, protocol });
                }
                _ => self.misses += u64::from(first),
            }
        }
        Ok(())
    }

    /// Hands over the listed sockets that a process holds.
    fn find_held(
        &mut self,
        pid: u32,
        process: &Path,
        cgroup: &impl Fn(u32) -> u64,
        each: &mut impl FnMut(&[u8]),
    ) {
        let fds = match fs::read_dir(process.join("fd")) {
            Ok(fds) => fds,
            Err(error) => return self.cannot_read(pid, &error),
        };
        let mut holder = None;
        for fd in fds {
            let path = fd.map(|fd| fd.path());
            let (link, path) = match path.and_then(|path| Ok((fs::read_link(&path)?, path))) {
                Ok(found) => found,
                Err(error) => {
                    self.cannot_read(pid, &error);
                    continue;
                }
            };
            let inode = link.to_str().and_then(|link| number(link, "socket"));
            let Some(inode) = inode else { continue };
            self.held.note(pid, &path, inode);
            let Some(listed) = self.listed.remove(&inode) else { continue };
            let holder = *holder.get_or_insert_with(|| {
                let comm = fs::read(process.join("comm"));
                let comm = comm.map_or([0; COMM_LEN], |text| comm_in(&text));
                Holder { pid, comm, cgroup: cgroup(pid) }
            });
            each(as_bytes(&record(self.at, holder, inode, listed)));
        }
    }

    fn look(mut self) -> Look {
        self.listed.keys().for_each(|inode| self.held.note_listed(*inode));
        Look { at: self.at, held: self.held.all(), misses: self.misses }
    }

    /// Notes that not all fds of a process could be read.
    fn cannot_read(&mut self, pid: u32, error: &io::Error) {
        if !is_gone(error) {
            self.held.unread(pid);
        }
        self.miss(error);
    }

    /// Counts what could not be read; a process, an fd or a namespace may be gone by then.
    fn miss(&mut self, error: &io::Error) {
        self.misses += u64::from(!is_gone(error));
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH | libc::ENXIO))
}

fn record(at: BootNs, holder: Holder, socket: u64, listed: Listed) -> NetlinkRecord {
    let header = Header {
        kind: kind::NETLINK_OPEN,
        len: size_of::<NetlinkRecord>() as u16,
        flags: flag::SEEDED,
        ts_ns: at,
        tgid: holder.pid,
        pid: holder.pid,
        cgroup_id: holder.cgroup,
        netns: listed.netns,
        comm: holder.comm,
        ..Header::default()
    };
    NetlinkRecord { header, socket, protocol: listed.protocol, ..NetlinkRecord::default() }
}

/// Protocol and inode in a row of /proc/net/netlink: columns 2 and 10 of `netlink_native_seq_show`
/// in net/netlink/af_netlink.c, the same from 5.10 to 7.2.
pub(crate) fn row(line: &str) -> Option<(u32, u64)> {
    let mut columns = line.split_ascii_whitespace();
    Some((columns.nth(1)?.parse().ok()?, columns.nth(7)?.parse().ok()?))
}

/// The name in a /proc/PID/comm, which ends with a newline.
fn comm_in(text: &[u8]) -> [u8; COMM_LEN] {
    let name = text.strip_suffix(b"\n").unwrap_or(text);
    let mut comm = [0; COMM_LEN];
    // The last byte stays NUL.
    comm.iter_mut().take(COMM_LEN - 1).zip(name).for_each(|(to, from)| *to = *from);
    comm
}

#[cfg(test)]
mod tests;
