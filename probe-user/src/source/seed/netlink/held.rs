//! Which sockets there are, by the names that records give them.

use std::path::Path;

use probe_common::netlink::SOCKET_BY_FD;

use crate::event::HeldSockets;

/// Sockets noted; with more nobody can say which one is gone (2 MB).
const MOST: usize = 262_144;

/// Collects them.
pub struct Held {
    /// Whether records name a socket by its inode, else by process and fd.
    by_inode: bool,
    sockets: HeldSockets,
}

impl Held {
    pub fn new(by_inode: bool) -> Self {
        Self { by_inode, sockets: HeldSockets { whole: true, ..HeldSockets::default() } }
    }

    /// Notes a socket that a process holds; `link` is the fd's in /proc.
    pub fn note(&mut self, pid: u32, link: &Path, inode: u64) {
        let fd = link.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        match fd {
            _ if self.by_inode => self.add(inode),
            // As `fd_table::key` of the kernel side does.
            Some(fd) => self.add(SOCKET_BY_FD | u64::from(pid) << 32 | u64::from(fd)),
            None => {}
        }
    }

    /// Notes a socket that a table lists: one may be on its way from a process to another.
    pub fn note_listed(&mut self, inode: u64) {
        if self.by_inode {
            self.add(inode);
        }
    }

    /// Notes a process whose fds cannot be read.
    pub fn unread(&mut self, pid: u32) {
        self.sockets.unread.push(pid);
    }

    fn add(&mut self, id: u64) {
        if self.sockets.ids.len() == MOST {
            self.sockets.whole = false;
        } else {
            self.sockets.ids.push(id);
        }
    }

    /// All that were noted.
    pub fn all(mut self) -> HeldSockets {
        self.sockets.ids.sort_unstable();
        self.sockets.unread.sort_unstable();
        self.sockets
    }
}
