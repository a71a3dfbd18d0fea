//! The agent without a kernel: records made by hand, and a pipeline that takes them.

use std::sync::Arc;

use probe_common::{
    fork::{ForkRecord, cause},
    netlink::NetlinkRecord,
    tc::{LinkGoneRecord, TcRecord, rtm},
    wire::{COMM_LEN, Header, kind},
};
use probe_user::{
    config::{Config, enrich::EnrichConfig},
    decode::{self, Plain},
    enrich::Enricher,
    metrics::Metrics,
    pipeline::Pipeline,
};

pub const SECOND: u64 = 1_000_000_000;
/// No process has this pid or a higher one, so /proc is asked in vain.
const NOBODY: u32 = 0x4000_0000;

/// A pipeline that sends nothing anywhere, and its metrics.
pub fn pipeline() -> (Pipeline, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let pipeline = Pipeline::new(
        &Config::default(),
        Enricher::new(None, &EnrichConfig::default()),
        Arc::clone(&metrics),
    );
    (pipeline, metrics)
}

/// The sum of all series that begin like this. Not every test target asks for one.
#[allow(dead_code)]
pub fn sum(metrics: &Metrics, series: &str) -> u64 {
    let text = String::from_utf8(metrics.encode().expect("encodes")).expect("UTF-8");
    let values = text.lines().filter(|line| line.starts_with(series)).map(|line| {
        let value = line.rsplit(' ').next().expect("a value");
        value.parse::<u64>().expect("a whole number")
    });
    values.sum()
}

/// A clone refused to a daemon of process and cgroup `n`.
pub fn refused_clone(n: u32, at: u64) -> Vec<u8> {
    let mut record = zeroed::<ForkRecord>(kind::FORK_FAILED);
    record.header = header::<ForkRecord>(kind::FORK_FAILED, n, at, b"kubelet");
    (record.ret, record.cause) = (-libc::EAGAIN, cause::PIDS_MAX);
    (record.owner, record.current, record.limit) = (u64::from(n), 9_000, 9_000);
    bytes(&record)
}

/// A filter written to interface `n` with an answer of the kernel's.
pub fn filter(n: u32, ret: i32, at: u64) -> Vec<u8> {
    let mut record = zeroed::<TcRecord>(kind::TC_REQUEST);
    record.header = header::<TcRecord>(kind::TC_REQUEST, n, at, b"tc");
    (record.nlmsg_type, record.ret) = (rtm::NEWTFILTER, ret);
    (record.ifindex, record.parent, record.info) = (n as i32, 0xffff_fff2, 1 << 16);
    (record.parent_tgid, record.parent_comm) = (NOBODY + n, name(b"agent"));
    (record.ifname, record.kind) = (name(format!("cali{n}").as_bytes()), name(b"bpf"));
    bytes(&record)
}

/// The end of interface `n`.
pub fn link_gone(n: u32, at: u64) -> Vec<u8> {
    let mut record = zeroed::<LinkGoneRecord>(kind::TC_LINK_GONE);
    record.header = header::<LinkGoneRecord>(kind::TC_LINK_GONE, n, at, b"ip");
    record.ifindex = n as i32;
    bytes(&record)
}

/// Socket `n` of process `n` comes, goes, or the process does: `what` is the kind.
pub fn socket(n: u32, what: u16, at: u64) -> Vec<u8> {
    let mut record = zeroed::<NetlinkRecord>(what);
    record.header = header::<NetlinkRecord>(what, n, at, b"agent");
    record.socket = u64::from(n) + 1;
    bytes(&record)
}

/// All zero: what is added to a record later means "unknown" then.
fn zeroed<T: Plain>(kind: u16) -> T {
    decode::read(kind, &vec![0; size_of::<T>()]).expect("long enough")
}

fn bytes<T: Plain>(record: &T) -> Vec<u8> {
    decode::as_bytes(record).to_vec()
}

fn header<T>(kind: u16, n: u32, at: u64, comm: &[u8]) -> Header {
    let len = u16::try_from(size_of::<T>()).expect("a record is short");
    let (tgid, cgroup_id) = (NOBODY + n, u64::from(n) + 1);
    let (netns, comm) = (n % 500 + 1, name(comm));
    Header { kind, len, ts_ns: at, tgid, pid: tgid, cgroup_id, netns, comm, ..Header::default() }
}

fn name(text: &[u8]) -> [u8; COMM_LEN] {
    let mut name = [0; COMM_LEN];
    name[..text.len()].copy_from_slice(text);
    name
}
