//! The kernel side's exact counters, summed over CPUs.

use aya::maps::{MapData, PerCpuArray};
use probe_common::counter;

/// Reads the counters of the loaded object.
pub struct Counters(PerCpuArray<MapData, u64>);

impl Counters {
    /// Wraps the object's counter map.
    #[must_use]
    pub fn new(map: PerCpuArray<MapData, u64>) -> Self {
        Self(map)
    }

    /// One counter of a signal; 0 when it cannot be read, which a mapped array always can.
    #[must_use]
    pub fn read(&self, signal: u32, which: u32) -> u64 {
        let values = self.0.get(&counter::index(signal, which), 0);
        values.map_or(0, |per_cpu| per_cpu.iter().sum())
    }
}
