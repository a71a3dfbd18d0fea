//! What the kernel side costs: time of its programs, memory of its maps.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use aya::{
    Ebpf,
    maps::{Map, MapData},
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

/// Name and memory (bytes) of each map, as the kernel accounts for it (bpf_map_show_fdinfo in
/// kernel/bpf/syscall.c).
#[must_use]
pub fn map_bytes(ebpf: &Ebpf) -> Vec<(String, u64)> {
    let bytes = |map: &Map| {
        let fd = data(map)?.fd().as_fd().as_raw_fd();
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        memlock(&text)
    };
    ebpf.maps().filter_map(|(name, map)| Some((name.to_owned(), bytes(map)?))).collect()
}

fn memlock(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("memlock:"))?.trim().parse().ok()
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
        assert_eq!(memlock(fdinfo), Some(1_052_672));
        assert_eq!(memlock("pos:\t0\n"), None);
    }
}
