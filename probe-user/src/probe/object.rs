//! The compiled kernel programs inside this binary, and how they get into the kernel.

use std::io;

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray, RingBuf, StackTraceMap},
};
use thiserror::Error;

use super::{
    attach::Attacher, choice::Choices, classify::chain, cost, counters::Counters,
    coverage::Coverage, hook::Rung, ladder::Ladder, refusal::Refusal,
};
use crate::{
    kernel::{facts::Facts, fields::Offsets},
    source::{poll::rtnl::WaitingMap, untold::Untold},
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/nodeprobe.bpf.o"));

/// Level of aya-log that lets the programs' messages through (`aya_log_common::Level::Info`).
const LOG_INFO: u8 = 3;

/// Why the kernel side could not be set up at all.
#[derive(Debug, Error)]
pub enum ProbeError {
    #[error(
        "this nodeprobe was built without its kernel programs; build it with `cargo xtask build`"
    )]
    NoObject,
    #[error("{0}; {todo}", todo = .0.todo())]
    Refused(Refusal),
    #[error("the object has no usable map {name}: {reason}")]
    Map { name: &'static str, reason: String },
}

/// How to load.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rungs that were asked for.
    pub choices: Choices,
    /// Let the kernel programs log each event.
    pub kernel_log: bool,
    /// The pids controller is on a cgroup v1 hierarchy.
    pub pids_on_cgroup_v1: bool,
    /// Shortest wait for the RTNL mutex that gets a record of its own (ns).
    pub rtnl_least_wait_ns: u64,
}

/// The loaded and attached kernel side; dropping it detaches everything.
pub struct Probe {
    pub ebpf: Ebpf,
    pub ring: RingBuf<MapData>,
    pub counters: Counters,
    pub rtnl_waiting: WaitingMap,
    pub untold: Untold,
    pub coverage: Vec<Coverage>,
    /// Name and memory (bytes) of each map.
    pub map_bytes: Vec<(String, u64)>,
}

impl Probe {
    /// Loads the object and attaches every hook on the best rung that works.
    ///
    /// # Errors
    /// [`ProbeError`] when nothing can be loaded; a hook that no rung carries is no error but a gap
    /// in [`Probe::coverage`].
    pub fn load(facts: &Facts, offsets: &Offsets, options: Options) -> Result<Self, ProbeError> {
        if OBJECT.is_empty() {
            return Err(ProbeError::NoObject);
        }
        if facts.is_too_old() {
            return Err(ProbeError::Refused(Refusal::TooOld(facts.release.clone())));
        }
        if let Some(capability) = facts.missing_to_load() {
            return Err(ProbeError::Refused(Refusal::MissingCapability(capability)));
        }
        raise_memlock();
        let on_v1 = u8::from(options.pids_on_cgroup_v1);
        let kernel_readable = u8::from(facts.lockdown.lets_read_memory());
        let log_level = if options.kernel_log { LOG_INFO } else { 0 };
        let addresses = facts.symbols.addresses();
        let mut loader = EbpfLoader::new();
        loader
            .btf(None)
            .override_global("FIELD_OFFSETS", &offsets.values, true)
            .override_global("SYMBOL_ADDRESSES", &addresses, true)
            .override_global("PIDS_ON_CGROUP_V1", &on_v1, true)
            .override_global("KERNEL_READABLE", &kernel_readable, true)
            .override_global("RTNL_LEAST_WAIT", &options.rtnl_least_wait_ns, true)
            .override_global("AYA_LOG_LEVEL", &log_level, true);
        if !options.kernel_log {
            // Every map is created; this one is idle without the switch.
            loader.map_max_entries("AYA_LOGS", page_size());
        }
        let mut ebpf = loader.load(OBJECT).map_err(|error| load_error(&error))?;
        let coverage = {
            let tracing = facts.btf && options.choices.allow(Rung::Fexit);
            let btf = tracing.then(Btf::from_sys_fs).and_then(Result::ok);
            let attacher = Attacher::new(&mut ebpf, btf.as_ref());
            Ladder::new(attacher, facts, offsets, &options.choices).attach_all()
        };
        let map_bytes = cost::map_bytes(&ebpf);
        let ring = take(&mut ebpf, "EVENTS", RingBuf::try_from)?;
        let counters = Counters::new(take(&mut ebpf, "COUNTERS", PerCpuArray::try_from)?);
        let rtnl_waiting = take(&mut ebpf, "RTNL_WAITING", HashMap::try_from)?;
        let untold = Untold {
            epoch: take(&mut ebpf, "EPOCH", Array::try_from)?,
            sums: take(&mut ebpf, "SUMMED", HashMap::try_from)?,
            sockets: take(&mut ebpf, "NETLINK_UNTOLD", HashMap::try_from)?,
        };
        Ok(Self { ebpf, ring, counters, rtnl_waiting, untold, coverage, map_bytes })
    }

    /// The user stacks that programs keep, by id; there once.
    ///
    /// # Errors
    /// When the object has no such map any more.
    pub fn stacks(&mut self) -> Result<StackTraceMap<MapData>, ProbeError> {
        take(&mut self.ebpf, "USER_STACKS", StackTraceMap::try_from)
    }
}

fn take<T>(
    ebpf: &mut Ebpf,
    name: &'static str,
    convert: impl FnOnce(aya::maps::Map) -> Result<T, MapError>,
) -> Result<T, ProbeError> {
    let wrong = |reason: String| ProbeError::Map { name, reason };
    let map = ebpf.take_map(name).ok_or_else(|| wrong("it is not there".into()))?;
    convert(map).map_err(|error| wrong(chain(&error)))
}

fn load_error(error: &EbpfError) -> ProbeError {
    ProbeError::Refused(Refusal::Maps(chain(error)))
}

/// Kernels before 5.11 charge maps to this limit. Later ones do not, so a refusal is harmless there.
fn raise_memlock() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is a valid rlimit.
    if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) } != 0 {
        log::debug!("RLIMIT_MEMLOCK stays as it is: {}", io::Error::last_os_error());
    }
}

fn page_size() -> u32 {
    // SAFETY: takes no pointer.
    u32::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
