use std::os::{
    fd::{AsRawFd, FromRawFd, OwnedFd},
    unix::fs::{MetadataExt, symlink},
};

use proptest::prelude::*;

use super::*;
use crate::{
    decode::decode,
    event::{Body, Context},
    signals::netlink::NetlinkChange,
};

const HEAD: &str =
    "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n";

/// Pid, comm, namespace, protocol and inode.
type Found = (u32, String, u32, u32, u64);

/// A directory that looks like /proc.
struct Proc(PathBuf);

impl Proc {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("nodeprobe-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("sys")).unwrap();
        Self(root)
    }

    /// A process with a table of its namespace and links for its fds.
    fn process(&self, pid: u32, netns: u32, table: &str, fds: &[&str]) {
        let process = self.0.join(pid.to_string());
        for part in ["fd", "net", "ns"] {
            fs::create_dir_all(process.join(part)).unwrap();
        }
        symlink(format!("net:[{netns}]"), process.join("ns/net")).unwrap();
        fs::write(process.join("net/netlink"), format!("{HEAD}{table}")).unwrap();
        fs::write(process.join("comm"), format!("daemon-{pid}\n")).unwrap();
        for (fd, link) in fds.iter().enumerate() {
            symlink(link, process.join(format!("fd/{fd}"))).unwrap();
        }
    }

    /// What is found, and the misses.
    fn scan(&self, most: usize) -> (Vec<Found>, u64) {
        let mut found = Vec::new();
        let misses = scan(&self.0, bounds(most), u64::from, |record| {
            let (context, protocol, socket) = seeded(record);
            assert_eq!(context.cgroup, Some(context.pid.into()));
            let comm = context.comm.text().unwrap();
            found.push((context.pid, comm, context.netns.unwrap(), protocol, socket));
        });
        found.sort_unstable();
        (found, misses.unwrap().misses)
    }
}

fn bounds(most: usize) -> Bounds {
    Bounds { own: 99, most, by_inode: true }
}

impl Drop for Proc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn seeded(record: &[u8]) -> (Context, u32, u64) {
    let event = decode(record).unwrap();
    match event.body {
        Body::Netlink(NetlinkChange::Seeded { socket, protocol }) => {
            (event.context, protocol, socket)
        }
        other => panic!("{other:?}"),
    }
}

fn listed(protocol: u32, inode: u64) -> String {
    format!(
        "0000000000000000 {protocol:<3} 812        00000000 0        0        0     2        0        {inode:<8}\n"
    )
}

#[test]
fn a_socket_is_found_once_wherever_its_namespace_is() {
    let proc = Proc::new("join");
    let (here, pod) = (listed(0, 70) + &listed(16, 71) + &listed(15, 79), listed(0, 80));
    proc.process(812, 1, &here, &["socket:[70]", "socket:[71]", "/dev/null", "socket:[5000]"]);
    // A child that inherited one, and holds one of the pod's namespace.
    proc.process(1000, 1, "unread", &["socket:[70]", "socket:[80]", "anon_inode:[eventpoll]"]);
    proc.process(2000, 2, &pod, &[]);
    // The agent itself.
    proc.process(99, 1, &here, &["socket:[79]"]);
    let (found, misses) = proc.scan(MOST);
    let of =
        |pid: u32, netns, protocol, socket| (pid, format!("daemon-{pid}"), netns, protocol, socket);
    assert_eq!(found, [of(812, 1, 0, 70), of(812, 1, 16, 71), of(1000, 2, 0, 80)]);
    assert_eq!(misses, 0);
}

#[test]
fn what_vanishes_is_no_miss_and_what_cannot_be_read_is() {
    let proc = Proc::new("gone");
    proc.process(1, 1, &listed(0, 70), &["socket:[70]"]);
    for part in ["fd", "ns", "net"] {
        fs::remove_dir_all(proc.0.join("1").join(part)).unwrap();
    }
    proc.process(2, 2, "a row nobody understands\n", &[]);
    // A directory where a link should be cannot be read as one.
    fs::create_dir(proc.0.join("2/fd/7")).unwrap();
    proc.process(3, 3, &listed(0, 71), &["socket:[71]"]);
    fs::remove_file(proc.0.join("3/comm")).unwrap();
    let mut comms = Vec::new();
    let misses =
        scan(&proc.0, bounds(MOST), u64::from, |record| comms.push(seeded(record).0.comm.text()));
    assert_eq!((comms, misses.unwrap().misses), (vec![None], 2));
    assert!(scan(&proc.0.join("none"), bounds(MOST), u64::from, |_| ()).is_err());
}

#[test]
fn sockets_are_bounded_and_the_rest_are_misses() {
    let proc = Proc::new("bound");
    let table: String = (1..=10).map(|inode| listed(0, inode)).collect();
    let links: Vec<String> = (1..=10).map(|inode| format!("socket:[{inode}]")).collect();
    proc.process(1, 1, &table, &links.iter().map(String::as_str).collect::<Vec<_>>());
    let (found, misses) = proc.scan(4);
    assert_eq!((found.len(), misses), (4, 6));
}

/// The kernel's own /proc, and this test as a process that holds a socket.
#[test]
fn a_real_socket_is_found() {
    // SAFETY: socket(2) touches no memory of ours.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0);
    // SAFETY: the kernel just returned this fd and nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all-zero bytes are a valid sockaddr_nl.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    let length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: `address` is a sockaddr_nl of that length.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    assert_eq!(bound, 0);
    let inode = fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().ino();

    let mut found = Vec::new();
    scan(Path::new("/proc"), Bounds { own: 0, ..bounds(MOST) }, u64::from, |record| {
        found.push(seeded(record))
    })
    .unwrap();
    found.retain(|(_, _, socket)| *socket == inode);
    assert_eq!(found.len(), 1);
    let (context, protocol, _) = found[0];
    let netns = fs::metadata("/proc/self/ns/net").unwrap().ino();
    let expected = (process::id(), 0, Some(u32::try_from(netns).unwrap()));
    assert_eq!((context.pid, protocol, context.netns), expected);
    assert!(context.at > 0);
    let comm = fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(context.comm.text().as_deref(), Some(comm.trim_end()));
}

#[test]
fn links_and_rows_and_names_are_read() {
    assert_eq!(number::<u64>("socket:[77]", "socket"), Some(77));
    assert_eq!(number::<u32>("net:[4026531840]", "net"), Some(4_026_531_840));
    for link in ["socket:[]", "socket:[77", "socket:77", "pipe:[77]", "socket:[-1]", "/a", ""] {
        assert_eq!(number::<u64>(link, "socket"), None, "{link:?}");
    }
    assert_eq!(number::<u32>("net:[4294967296]", "net"), None);
    assert_eq!(row(&listed(16, 565)), Some((16, 565)));
    for line in [HEAD, "", "1 2 3", "0 0 0 0 0 0 0 0 0 x", "0 x 0 0 0 0 0 0 0 7"] {
        assert_eq!(row(line), None, "{line:?}");
    }
    assert_eq!(&comm_in(b"calico-node\n")[..12], b"calico-node\0");
    assert_eq!(comm_in(&[b'x'; 40])[14..], [b'x', 0]);
    assert_eq!(comm_in(b"a\nb\n")[..4], *b"a\nb\0");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = (row(&text), number::<u64>(&text, "socket"), number::<u32>(&format!("net:[{text}]"), "net"));
        let _ = comm_in(&bytes);
    }

    #[test]
    fn any_row_is_read(protocol: u32, inode: u64) {
        prop_assert_eq!(row(&listed(protocol, inode)), Some((protocol, inode)));
    }
}

#[test]
fn what_is_held_or_listed_is_there() {
    let proc = Proc::new("held");
    proc.process(812, 1, &listed(0, 70), &["socket:[5000]", "/dev/null"]);
    let held = |by_inode| {
        let bounds = Bounds { by_inode, ..bounds(MOST) };
        scan(&proc.0, bounds, u64::from, |_| ()).unwrap().held
    };
    let by_inode = held(true);
    assert_eq!((by_inode.whole, by_inode.ids.as_slice()), (true, &[70, 5000][..]));
    assert!(by_inode.is_gone(71, 812) && !by_inode.is_gone(70, 812));
    // Fd 0 of the process; which table has it does not matter.
    let fd = |fd: u64| 1 << 63 | 812 << 32 | fd;
    let by_fd = held(false);
    assert_eq!(by_fd.ids, [fd(0)]);
    assert!(by_fd.is_gone(fd(1), 812));

    // Whose fds cannot be read is left alone.
    fs::remove_dir_all(proc.0.join("812/fd")).unwrap();
    fs::write(proc.0.join("812/fd"), "").unwrap();
    let unread = held(true);
    assert_eq!(unread.unread, [812]);
    assert!(!unread.is_gone(71, 812) && unread.is_gone(71, 813));
    assert!(!HeldSockets::default().is_gone(71, 813), "nothing could be listed");
}
