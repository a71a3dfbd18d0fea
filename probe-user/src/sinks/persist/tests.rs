use std::{collections::VecDeque, sync::Arc};

use super::*;
use crate::{
    metrics::Metrics,
    sinks::{self, SinkError, stdout::PART},
    supervise::{Supervisor, guard::Failure},
};

/// What the next write does.
enum Next {
    Takes(usize),
    Fails(i32),
    /// It fails, and somebody empties the file before the next try.
    FailsAndIsEmptied,
}
use Next::{Fails, FailsAndIsEmptied, Takes};

/// A file that does what it is told, then takes all.
#[derive(Default)]
struct Script {
    next: VecDeque<Next>,
    file: Vec<u8>,
    emptied: bool,
    pauses: Vec<Duration>,
}

impl Out for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match self.next.pop_front() {
            None => bytes.len(),
            Some(Takes(most)) => most.min(bytes.len()),
            Some(Fails(errno)) => return Err(io::Error::from_raw_os_error(errno)),
            Some(FailsAndIsEmptied) => {
                self.emptied = true;
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
        };
        self.file.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn length(&self) -> Option<u64> {
        Some(self.file.len() as u64)
    }

    fn rest(&mut self, pause: Duration) {
        self.pauses.push(pause);
        if std::mem::take(&mut self.emptied) {
            self.file.clear();
        }
    }
}

/// Writes two lines; what is in the file then, the pauses, what was counted, and how it ended.
fn play(
    next: impl IntoIterator<Item = Next>,
) -> (String, Vec<Duration>, Arc<Metrics>, Result<(), SinkError>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let (to, from) = std::sync::mpsc::channel();
    let next = next.into_iter().collect();
    let mut supervisor = Supervisor::new(Arc::clone(&metrics));
    let sink = sinks::start("stdout", PART, Arc::clone(&metrics), &mut supervisor, move |inlet| {
        let mut out = Persistent::new(Script { next, ..Script::default() });
        let mut ended = Ok(());
        for line in [b"{\"one\":1}\n", b"{\"two\":2}\n"] {
            inlet.next();
            ended = ended.and_then(|()| out.write(line, &inlet));
        }
        to.send((out.out.file, out.out.pauses)).unwrap();
        ended
    });
    let sink = sink.unwrap();
    let finding = Arc::new(crate::findings::testing::finding());
    (0..2).for_each(|_| sink.outlet.send(&finding));
    let ended = sink.finish(Duration::from_secs(60));
    let (file, pauses) = from.recv().unwrap();
    (String::from_utf8(file).unwrap(), pauses, metrics, ended)
}

fn failures(metrics: &Metrics, reason: &str) -> u64 {
    metrics.sink_failures.with_label_values(&["stdout", reason]).get()
}

fn written(metrics: &Metrics) -> u64 {
    metrics.sink_findings.with_label_values(&["stdout", "written"]).get()
}

const BOTH: &str = "{\"one\":1}\n{\"two\":2}\n";

#[test]
fn a_line_that_was_cut_is_completed() {
    let (file, pauses, metrics, ended) =
        play([Takes(3), Fails(libc::ENOSPC), Fails(libc::EDQUOT), Takes(2), Fails(libc::EIO)]);
    assert_eq!(file, BOTH);
    assert_eq!((failures(&metrics, "no_space"), failures(&metrics, "io")), (2, 1));
    assert_eq!((pauses.len(), written(&metrics), ended.is_ok()), (3, 2, true));
}

#[test]
fn one_whose_beginning_was_truncated_away_is_written_anew() {
    let (file, ..) = play([Takes(10), Takes(4), FailsAndIsEmptied]);
    assert_eq!(file, "{\"two\":2}\n");
}

#[test]
fn every_failure_that_can_pass_is_waited_out() {
    for errno in [libc::ENOSPC, libc::EDQUOT, libc::EIO, libc::EAGAIN, libc::EFBIG, libc::ENOMEM] {
        let (file, _, metrics, ended) = play([Fails(errno)]);
        assert_eq!((file.as_str(), written(&metrics), ended.is_ok()), (BOTH, 2, true), "{errno}");
        let all = Reason::LABELS.iter().map(|reason| failures(&metrics, reason));
        assert_eq!(all.sum::<u64>(), 1, "{errno}");
    }
    let (file, pauses, metrics, _) = play([Fails(libc::EINTR), Takes(0)]);
    assert_eq!((file.as_str(), pauses.len(), failures(&metrics, "other")), (BOTH, 1, 1));
}

#[test]
fn a_reader_that_is_gone_is_the_end() {
    for errno in [libc::EPIPE, libc::EBADF, libc::EINVAL] {
        let (file, pauses, metrics, ended) = play([Fails(errno)]);
        assert_eq!((file.as_str(), pauses.len(), written(&metrics)), ("", 0, 0));
        let why = Failure::Error(io::Error::from_raw_os_error(errno).to_string());
        assert_eq!(ended, Err(SinkError::Failed(why)));
    }
}

#[test]
fn pauses_grow_up_to_a_bound() {
    let (file, pauses, ..) = play((0..8).map(|_| Fails(libc::ENOSPC)));
    assert_eq!(file, BOTH);
    assert_eq!(pauses[..3], [100, 200, 400].map(Duration::from_millis));
    assert!(pauses.is_sorted() && pauses.last() == Some(&LONGEST_PAUSE), "{pauses:?}");
}
