//! Which sockets are what: by inode, from the tables of a network namespace.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use crate::scarce;

/// Rows read of one table; what is behind them stays unnamed.
const MOST_ROWS: usize = 200_000;
/// Longest row that is looked at (bytes); the path of a unix socket comes last and has at most 108.
const LONGEST_ROW: usize = 512;

/// Kind of a socket that no table lists: never bound nor connected, or of another namespace.
const UNLISTED: &str = "socket";

/// A table in /proc/PID/net.
struct Table {
    file: &'static str,
    /// Column of the inode, from 0.
    inode: usize,
    kind: Kind,
}

enum Kind {
    Is(&'static str),
    /// The state is column 3, in hexadecimal.
    TcpState,
}

/// The tables, and where their rows have the inode: the same from 5.10 to 7.2.
const TABLES: [Table; 9] = [
    Table { file: "tcp", inode: 9, kind: Kind::TcpState },
    Table { file: "tcp6", inode: 9, kind: Kind::TcpState },
    Table { file: "unix", inode: 6, kind: Kind::Is("unix") },
    Table { file: "udp", inode: 9, kind: Kind::Is("udp") },
    Table { file: "udp6", inode: 9, kind: Kind::Is("udp") },
    Table { file: "netlink", inode: 9, kind: Kind::Is("netlink") },
    Table { file: "packet", inode: 8, kind: Kind::Is("packet") },
    Table { file: "raw", inode: 9, kind: Kind::Is("raw") },
    Table { file: "raw6", inode: 9, kind: Kind::Is("raw") },
];

/// Tells `each` the kind of every socket of `inodes`, by the tables in the directory `net`.
pub fn tell_apart(net: &Path, mut inodes: Vec<u64>, mut each: impl FnMut(&'static str, u64)) {
    inodes.sort_unstable();
    // Fds that are copies of one another share a socket.
    let copies = |inodes: &[u64], inode| {
        let from = inodes.partition_point(|other| *other < inode);
        inodes.iter().skip(from).take_while(|other| **other == inode).count()
    };
    for table in &TABLES {
        if inodes.is_empty() {
            return;
        }
        let mut found = Vec::new();
        // A table that is not there is one of a protocol that is not.
        let _ = rows(&net.join(table.file), |row| {
            let Some((inode, kind)) = table.read(row) else { return };
            let count = copies(&inodes, inode);
            if count > 0 {
                found.push((inode, kind, count as u64));
            }
        });
        // The kernel may list a row twice while others come and go.
        found.sort_unstable();
        found.dedup_by_key(|(inode, ..)| *inode);
        found.iter().for_each(|(_, kind, count)| each(kind, *count));
        inodes.retain(|inode| found.binary_search_by_key(inode, |(found, ..)| *found).is_err());
    }
    if !inodes.is_empty() {
        each(UNLISTED, inodes.len() as u64);
    }
}

/// Hands over the rows of a table, but not its first line, which names the columns.
fn rows(table: &Path, mut each: impl FnMut(&str)) -> io::Result<()> {
    let mut lines = BufReader::new(scarce::noted(File::open(table))?);
    let mut line = Vec::new();
    for number in 0..=MOST_ROWS {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let row = line.get(..line.len().min(LONGEST_ROW)).unwrap_or_default();
        if number > 0 {
            each(&String::from_utf8_lossy(row));
        }
    }
    Ok(())
}

impl Table {
    /// Inode and kind in a row; inode 0 is a socket that no fd is for any more.
    fn read(&self, row: &str) -> Option<(u64, &'static str)> {
        let columns = row.split_ascii_whitespace();
        let inode = columns.clone().nth(self.inode)?.parse().ok().filter(|inode| *inode != 0)?;
        let kind = match self.kind {
            Kind::Is(kind) => kind,
            Kind::TcpState => tcp(columns.clone().nth(3)?),
        };
        Some((inode, kind))
    }
}

/// A state of include/net/tcp_states.h, with the name ss(8) has for it.
fn tcp(state: &str) -> &'static str {
    match state {
        "01" => "tcp ESTAB",
        "02" => "tcp SYN-SENT",
        "03" => "tcp SYN-RECV",
        "04" => "tcp FIN-WAIT-1",
        "05" => "tcp FIN-WAIT-2",
        "06" => "tcp TIME-WAIT",
        "07" => "tcp CLOSED",
        "08" => "tcp CLOSE-WAIT",
        "09" => "tcp LAST-ACK",
        "0A" => "tcp LISTEN",
        "0B" => "tcp CLOSING",
        _ => "tcp",
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, net::TcpListener, os::unix::net::UnixDatagram};

    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 501 1 0 100 0 0 10 0\n   \
        1: 0100007F:1F90 0100007F:D431 08 00000001:00000000 00:00000000 00000000     0        0 502 1 0 20 4 0 10 -1\n   \
        2: 0100007F:1F90 0100007F:D432 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0\n";
    const UNIX: &str = "Num       RefCount Protocol Flags    Type St Inode Path\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 503 /run/\u{fffd} x\n\
        nonsense\n";

    fn told(net: &Path, inodes: &[u64]) -> Vec<(&'static str, u64)> {
        let mut told = Vec::new();
        tell_apart(net, inodes.to_vec(), |kind, count| told.push((kind, count)));
        told
    }

    #[test]
    fn tables_tell_kinds_and_states() {
        let net = std::env::temp_dir().join(format!("nodeprobe-sockets-{}", std::process::id()));
        fs::create_dir_all(&net).unwrap();
        fs::write(net.join("tcp"), TCP).unwrap();
        fs::write(net.join("unix"), UNIX).unwrap();
        let all = told(&net, &[502, 502, 501, 9, 503, 0]);
        fs::remove_dir_all(&net).unwrap();
        let expected = [("tcp LISTEN", 1), ("tcp CLOSE-WAIT", 2), ("unix", 1), ("socket", 2)];
        assert_eq!(all, expected);
        assert_eq!(told(&net, &[1]), [("socket", 1)], "no table at all");
    }

    #[test]
    fn finds_its_own_sockets() {
        use std::os::{fd::AsRawFd, linux::fs::MetadataExt};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let datagram = UnixDatagram::unbound().unwrap();
        let inode = |fd: i32| fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().st_ino();
        let inodes = [inode(listener.as_raw_fd()), inode(datagram.as_raw_fd())];
        let told = told(Path::new("/proc/self/net"), &inodes);
        assert_eq!(told, [("tcp LISTEN", 1), ("unix", 1)]);
    }
}
