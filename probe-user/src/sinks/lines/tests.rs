use std::collections::VecDeque;

use super::*;

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
    empties: bool,
}

impl Out for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match self.next.pop_front() {
            None => bytes.len(),
            Some(Takes(most)) => most.min(bytes.len()),
            Some(Fails(errno)) => return Err(io::Error::from_raw_os_error(errno)),
            Some(FailsAndIsEmptied) => {
                self.empties = true;
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
        };
        self.file.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn length(&self) -> Option<u64> {
        Some(self.file.len() as u64)
    }
}

/// Writes two lines as a sink does, until they are written: what is in the file then, and the troubles
/// on the way; or why it was over.
fn play(next: impl IntoIterator<Item = Next>) -> (String, Vec<Reason>, Option<String>) {
    let script = Script { next: next.into_iter().collect(), ..Script::default() };
    let (mut lines, mut troubles) = (Lines::new(script, false), Vec::new());
    for line in [b"{\"one\":1}\n", b"{\"two\":2}\n"] {
        loop {
            match lines.write(line) {
                Answer::Taken { .. } => break,
                Answer::Later { trouble, .. } => troubles.push(trouble.reason),
                Answer::Over(why) => return (text(lines), troubles, Some(why)),
                other => panic!("{other:?}"),
            }
            if std::mem::take(&mut lines.out.empties) {
                lines.out.file.clear();
            }
        }
    }
    (text(lines), troubles, None)
}

fn text(lines: Lines<Script>) -> String {
    String::from_utf8(lines.out.file).unwrap()
}

const BOTH: &str = "{\"one\":1}\n{\"two\":2}\n";

#[test]
fn a_line_that_was_cut_is_completed() {
    let (file, troubles, over) =
        play([Takes(3), Fails(libc::ENOSPC), Fails(libc::EDQUOT), Takes(2), Fails(libc::EIO)]);
    assert_eq!((file.as_str(), over), (BOTH, None));
    assert_eq!(troubles, [Reason::NoSpace, Reason::NoSpace, Reason::Io]);
}

#[test]
fn one_whose_beginning_was_truncated_away_is_written_anew() {
    let (file, ..) = play([Takes(10), Takes(4), FailsAndIsEmptied]);
    assert_eq!(file, "{\"two\":2}\n");
}

#[test]
fn every_failure_that_can_pass_is_waited_out() {
    for errno in [libc::ENOSPC, libc::EDQUOT, libc::EIO, libc::EAGAIN, libc::EFBIG, libc::ENOMEM] {
        let (file, troubles, over) = play([Fails(errno)]);
        assert_eq!((file.as_str(), troubles.len(), over), (BOTH, 1, None), "{errno}");
    }
    let (file, troubles, _) = play([Fails(libc::EINTR), Takes(0)]);
    assert_eq!((file.as_str(), troubles), (BOTH, vec![Reason::Other]));
}

#[test]
fn a_reader_that_is_gone_is_the_end() {
    for errno in [libc::EPIPE, libc::EBADF, libc::EINVAL] {
        let why = io::Error::from_raw_os_error(errno).to_string();
        assert_eq!(play([Fails(errno)]), (String::new(), Vec::new(), Some(why)));
    }
}

#[test]
fn what_stands_there_half_is_closed_once() {
    let next = [Fails(libc::ENOSPC), Takes(1), Fails(libc::ENOSPC)];
    let file = b"{\"ha".to_vec();
    let mut lines = Lines::new(Script { next: next.into(), file, ..Script::default() }, true);
    for _ in 0..2 {
        assert!(matches!(lines.write(b"one\n"), Answer::Later { .. }));
    }
    assert!(lines.is_torn());
    assert!(matches!(lines.write(b"one\n"), Answer::Taken { .. }));
    assert!(matches!(lines.write(b"two\n"), Answer::Taken { .. }));
    assert_eq!(text(lines), "{\"ha\none\ntwo\n");
}

#[test]
fn only_a_file_with_half_a_line_ends_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lines");
    assert!(!ends_open(&path), "there is none");
    for (content, open) in [("", false), ("one\n", false), ("one\ntw", true)] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(ends_open(&path), open, "{content:?}");
    }
    assert!(!ends_open(Path::new("/dev/null")));
}
