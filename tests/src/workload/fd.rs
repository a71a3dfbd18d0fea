//! Holders of fds of every kind: one that leaks, one that holds, one that opens and closes.

use std::fs::File;
use std::io::Error;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{FromRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;
use rustix::process::{PidfdFlags, Resource, Rlimit, getpid, getrlimit, pidfd_open, setrlimit};

use super::{Ack, stay};
use crate::clock::Moment;

/// Open fds of one kind and never close them.
#[derive(Args)]
pub struct Leak {
    /// What to leak.
    #[arg(long, value_enum)]
    kind: Kind,
    /// How many; it ends earlier where the kernel gives no more, and stays.
    #[arg(long)]
    count: u64,
    /// Files to hold, which do not grow in number.
    #[arg(long, default_value_t = 0)]
    base: usize,
    /// Pause between two (ms).
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// `RLIMIT_NOFILE` to have.
    #[arg(long)]
    nofile: u64,
}

/// Open files once and hold them.
#[derive(Args)]
pub struct Hold {
    #[arg(long)]
    count: usize,
}

/// Open fds and close them all, again and again.
#[derive(Args)]
pub struct Saw {
    /// Fds that are held all the time.
    #[arg(long)]
    base: usize,
}

/// A kind of fd.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Eventfd,
    Inotify,
    Pidfd,
    /// Maps of aws/aws-network-policy-agent#146.
    BpfMap,
    /// Connections of istio/ztunnel#1629, which the peer closed and this end did not.
    CloseWait,
}

/// Sets both `RLIMIT_NOFILE`s.
pub fn limit_fds(most: u64) -> Result<()> {
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Nofile, limit).context("cannot set RLIMIT_NOFILE")
}

/// The most fds, up to `wanted`, that a process started by this one may have: nobody may raise the
/// limit without `CAP_SYS_RESOURCE`, which containers lack.
pub fn attainable_fds(wanted: u64) -> u64 {
    let had = getrlimit(Resource::Nofile);
    let most = had.maximum.unwrap_or(u64::MAX).max(wanted);
    // The soft limit stays: whoever wants more says so.
    let raised = setrlimit(Resource::Nofile, Rlimit { maximum: Some(most), ..had });
    if raised.is_ok() { wanted } else { had.maximum.unwrap_or(wanted).min(wanted) }
}

/// Forgets one after the other.
pub fn leak(args: &Leak) -> Result<()> {
    limit_fds(args.nofile)?;
    // Kernels before 5.11 count maps as locked memory; on others it does not matter if it fails.
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    let _base = files(args.base)?;
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on the loopback")?;
    let mut forgotten = vec![args.kind.open(&listener)?];
    Ack::FirstBadAct { at: Moment::now() }.send()?;
    for _ in 1..args.count {
        thread::sleep(Duration::from_millis(args.pause_ms));
        match args.kind.open(&listener) {
            Ok(fd) => forgotten.push(fd),
            Err(_) => break,
        }
    }
    Ack::Done { count: forgotten.len() as u64 }.send()?;
    stay()
}

/// A healthy database: its files are many and always the same.
pub fn hold(args: &Hold) -> Result<()> {
    limit_fds(2 * args.count as u64)?;
    let held = files(args.count)?;
    Ack::Done { count: held.len() as u64 }.send()?;
    stay()
}

/// A healthy server: what it opens, it closes.
pub fn saw(args: &Saw) -> Result<()> {
    const TEETH: usize = 9;
    limit_fds(10 * args.base as u64)?;
    let _base = files(args.base)?;
    Ack::Done { count: args.base as u64 }.send()?;
    loop {
        let mut open = Vec::new();
        for _ in 0..TEETH {
            open.extend(files(args.base / TEETH)?);
            thread::sleep(Duration::from_millis(300));
        }
    }
}

fn files(count: usize) -> Result<Vec<File>> {
    (0..count).map(|_| File::open("/dev/null").context("cannot open /dev/null")).collect()
}

impl Kind {
    fn open(self, listener: &TcpListener) -> Result<OwnedFd> {
        match self {
            Self::Eventfd => eventfd(0, EventfdFlags::CLOEXEC).context("cannot make an eventfd"),
            Self::Inotify => inotify::init(inotify::CreateFlags::CLOEXEC)
                .context("cannot make an inotify instance"),
            Self::Pidfd => pidfd_open(getpid(), PidfdFlags::empty()).context("cannot make a pidfd"),
            Self::BpfMap => bpf_map().context("cannot make an eBPF map"),
            Self::CloseWait => {
                let client = TcpStream::connect(listener.local_addr()?)?;
                let (server, _) = listener.accept().context("cannot accept")?;
                drop(client);
                Ok(server.into())
            }
        }
    }
}

/// An array of one number.
fn bpf_map() -> Result<OwnedFd, Error> {
    const BPF_MAP_CREATE: libc::c_long = 0;
    const BPF_MAP_TYPE_ARRAY: u32 = 2;
    // map_type, key_size, value_size, max_entries and map_flags of union bpf_attr.
    let attributes: [u32; 5] = [BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0];
    // SAFETY: the kernel reads as many bytes as it is told that there are.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_MAP_CREATE, attributes.as_ptr(), size_of_val(&attributes))
    };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(Error::last_os_error)?;
    // SAFETY: the kernel just returned this fd and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
