//! The runtime of a sink.

use std::{io, thread, time::Duration};

use tokio::runtime::{Builder, Runtime};

use crate::net::resolve::only_files_and_dns;

/// Longer than any agent runs.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Name of the thread that looks names up.
const THREAD: &str = "sink-names";

/// A runtime without threads of its own; but where a library looks names up by itself, with the one that
/// this takes: made now, as a node that is out of tasks would refuse it later.
///
/// # Errors
/// When the runtime or the thread cannot be made.
pub fn of(looks_up: bool) -> io::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(1).thread_keep_alive(FOREVER).thread_name(THREAD);
    let runtime = builder.build()?;
    if looks_up {
        // Tokio panics where there can be no thread, so that is tried first.
        let tried = thread::Builder::new().name("resolver".into()).spawn(only_files_and_dns)?;
        tried.join().map_err(|_| io::Error::other("the thread that looks names up panicked"))?;
        runtime.spawn_blocking(|| {});
    }
    Ok(runtime)
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Instant};

    use super::*;

    fn threads() -> usize {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let comm = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
        let comms = tasks.filter_map(|task| comm(task.ok()?));
        comms.filter(|comm| comm.trim_end() == THREAD).count()
    }

    #[test]
    fn the_thread_for_look_ups_is_there_before_the_first_and_stays_the_only_one() {
        let runtime = of(true).unwrap();
        // It names itself once it runs.
        let guard = Instant::now() + Duration::from_secs(60);
        while threads() == 0 {
            assert!(Instant::now() < guard, "no thread comes");
            thread::yield_now();
        }
        let look_ups = (0..3).map(|_| runtime.spawn_blocking(|| thread::current().id()));
        let ids = look_ups.map(|id| runtime.block_on(id).unwrap()).collect::<Vec<_>>();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(threads(), 1);
    }
}
