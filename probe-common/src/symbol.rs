//! Kernel variables the programs read.
//!
//! Their addresses are in /proc/kallsyms; the agent hands them over as a read-only global. This
//! table is both sides' only list: an index here is the index in that global.

/// Address of a variable this kernel does not have, or does not show.
pub const MISSING: u64 = 0;

/// Tasks on the node (`int nr_threads`, kernel/fork.c).
pub const NR_THREADS: usize = 0;
/// `kernel.threads-max` (`static int max_threads`, kernel/fork.c).
pub const MAX_THREADS: usize = 1;
/// `kernel.pid_max` (`int pid_max`, kernel/pid.c); in each pid namespace instead from 6.14 on.
pub const PID_MAX: usize = 2;
/// The mutex that every change of the network takes (`struct mutex rtnl_mutex`, net/core/rtnetlink.c).
pub const RTNL_MUTEX: usize = 3;
/// Number of variables.
pub const COUNT: usize = 4;

/// All names, in the order of their indices.
pub const SYMBOLS: [&str; COUNT] = ["nr_threads", "max_threads", "pid_max", "rtnl_mutex"];
