//! What the kernel side costs: time of its programs, memory of its maps.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use aya::{
    Ebpf,
    maps::{Map, MapData},
    programs::Program,
    sys::{Stats, enable_stats},
};

use super::classify::chain;

/// Makes the kernel count for as long as what this returns lives. The kernel asks CAP_SYS_ADMIN for it,
/// and has it since 5.8; without it the agent works, and these metrics stand still.
#[must_use]
pub fn count_runs() -> Option<OwnedFd> {
    enable_stats(Stats::RunTime)
        .inspect_err(|error| {
            log::warn!(
                "metrics.bpf_stats: the kernel does not count runs of programs: {}; it takes \
                 CAP_SYS_ADMIN and Linux 5.8, or sysctl kernel.bpf_stats_enabled=1",
                chain(error)
            );
        })
        .ok()
}

/// What the kernel counted of one program since it was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// Time in it (ns); 0 while the kernel does not count.
    pub nanoseconds: u64,
    /// How often it ran; 0 while the kernel does not count.
    pub runs: u64,
    /// How often it was left out because it ran on that processor already: whoever ran it was
    /// preempted in it. Counted always, since Linux 5.12 (`__bpf_prog_enter_recur` in
    /// kernel/bpf/trampoline.c) and for kprobes and tracepoints since 6.7 (`trace_call_bpf`).
    pub left_out: u64,
}

impl Runs {
    /// Of a program that is loaded; `None` for others, and where the kernel does not say.
    #[must_use]
    pub fn of(program: &Program) -> Option<Self> {
        Self::parse(&fdinfo(program.fd().ok()?)?)
    }

    fn parse(fdinfo: &str) -> Option<Self> {
        Some(Self {
            nanoseconds: number(fdinfo, "run_time_ns")?,
            runs: number(fdinfo, "run_cnt")?,
            left_out: number(fdinfo, "recursion_misses").unwrap_or(0),
        })
    }
}

/// Name and memory (bytes) of each map, as the kernel accounts for it.
#[must_use]
pub fn map_bytes(ebpf: &Ebpf) -> Vec<(String, u64)> {
    let bytes = |map: &Map| number(&fdinfo(data(map)?.fd())?, "memlock");
    ebpf.maps().filter_map(|(name, map)| Some((name.to_owned(), bytes(map)?))).collect()
}

/// What proc(5) shows of a program or a map (`bpf_prog_show_fdinfo`, `bpf_map_show_fdinfo` in
/// kernel/bpf/syscall.c).
fn fdinfo(object: &impl AsFd) -> Option<String> {
    fs::read_to_string(format!("/proc/self/fdinfo/{}", object.as_fd().as_raw_fd())).ok()
}

fn number(fdinfo: &str, key: &str) -> Option<u64> {
    let mut values = fdinfo.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    values.next()?.trim().parse().ok()
}

/// Of the kinds that the object has.
fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::RingBuf(data)
        | Map::StackTraceMap(data) => Some(data),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_map_is_in_its_fdinfo() {
        let fdinfo = "pos:\t0\nflags:\t02000002\nmap_type:\t27\nmemlock:\t1052672\nmap_id:\t9\n";
        assert_eq!(number(fdinfo, "memlock"), Some(1_052_672));
        assert_eq!(number("pos:\t0\n", "memlock"), None);
    }

    #[test]
    fn what_a_program_was_left_out_of_is_in_its_fdinfo() {
        let old = "prog_type:\t26\nrun_time_ns:\t900\nrun_cnt:\t3\n";
        let runs = Runs { nanoseconds: 900, runs: 3, left_out: 0 };
        assert_eq!(Runs::parse(old), Some(runs));
        let new = format!("{old}recursion_misses:\t2\nverified_insns:\t70\n");
        assert_eq!(Runs::parse(&new), Some(Runs { left_out: 2, ..runs }));
        assert_eq!(Runs::parse("pos:\t0\n"), None);
    }
}
