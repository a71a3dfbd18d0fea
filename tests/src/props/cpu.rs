//! Which processors a workload may run on.

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Does something on one of the processors this thread may use, the `nth` of them, again from the first
/// when there are fewer; what it starts stays there.
///
/// A kernel that preempts itself leaves a program out for all others on the processor while somebody is
/// preempted in it: whose events are counted to the last one must not share its processor with a storm.
pub fn on<T>(nth: usize, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = sched_getaffinity(None).context("cannot tell the processors")?;
    let usable: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| before.is_set(*cpu)).collect();
    ensure!(!usable.is_empty(), "there is no processor");
    let mut one = CpuSet::new();
    one.set(usable[nth % usable.len()]);
    sched_setaffinity(None, &one).context("cannot stay on one processor")?;
    let done = work();
    sched_setaffinity(None, &before).context("cannot use all processors again")?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_there_is_done_there_alone() {
        let before = sched_getaffinity(None).unwrap();
        for nth in [0, 1, 1_000] {
            let inside = on(nth, || Ok(sched_getaffinity(None)?.count())).unwrap();
            assert_eq!(inside, 1);
        }
        assert_eq!(sched_getaffinity(None).unwrap().count(), before.count());
    }
}
