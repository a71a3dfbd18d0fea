use std::{
    fs,
    io::{IoSliceMut, Read, Seek},
    os::unix::net,
    path::Path,
    sync::mpsc::{Receiver, channel},
    thread::{self, JoinHandle},
};

use rustix::{
    fs::fcntl_get_seals,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{
    findings::{Finding, testing::finding},
    sinks::{Kind, backend::Reason, kinds::Site},
};

struct Desk {
    directory: TempDir,
    runtime: Runtime,
    backend: Box<dyn Backend>,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config: JournaldConfig =
            toml::from_str(&format!("socket = {:?}", directory.path().join("socket"))).unwrap();
        let backend = config.open(&Site { sink: "test", node: "node-1".into() }).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { directory, runtime, backend }
    }

    fn socket(&self) -> net::UnixDatagram {
        let path = self.directory.path().join("socket");
        if Path::new(&path).exists() {
            fs::remove_file(&path).unwrap();
        }
        net::UnixDatagram::bind(path).unwrap()
    }

    fn reader(&self) -> Reader {
        Reader::of(self.socket())
    }

    /// Sends a finding with this summary.
    fn send(&mut self, summary: &str) -> Answer {
        self.send_all([summary])
    }

    /// Sends a finding for each summary.
    fn send_all(&mut self, summaries: impl IntoIterator<Item = impl ToString>) -> Answer {
        let record = |summary: String| {
            let finding = Finding { summary, ..finding() };
            Arc::new(Record::of_finding(finding))
        };
        let batch = summaries.into_iter().map(|summary| record(summary.to_string()));
        let batch: Vec<_> = batch.collect();
        self.runtime.block_on(self.backend.send(&batch))
    }

    fn taken(&mut self, summary: &str) {
        let answer = self.send(summary);
        assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    }
}

/// Tells a [`Reader`] to end.
const END: &[u8] = b".";

/// Who reads a socket, on a thread of its own, until it is dropped.
struct Reader {
    socket: net::UnixDatagram,
    messages: Receiver<(String, bool)>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    fn of(socket: net::UnixDatagram) -> Self {
        let (to, messages) = channel();
        let own = socket.try_clone().unwrap();
        let read = move || while message(&own).is_some_and(|message| to.send(message).is_ok()) {};
        Self { socket, messages, thread: Some(thread::spawn(read)) }
    }

    fn next(&self) -> (String, bool) {
        self.messages.recv().unwrap()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let address = self.socket.local_addr().unwrap();
        let end = net::UnixDatagram::unbound().unwrap();
        end.send_to(END, address.as_pathname().unwrap()).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The message of the next entry, which came as a datagram or in a sealed file, and whether in one; `None`
/// when there will be none any more.
fn message(socket: &net::UnixDatagram) -> Option<(String, bool)> {
    let mut bytes = vec![0; 1024 * 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut bytes)];
    let read = recvmsg(socket, &mut into, &mut with, RecvFlags::empty()).unwrap().bytes;
    let file = with.drain().find_map(|with| match with {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let entry = match &file {
        // It asks whether somebody is there.
        None if read == 0 => return message(socket),
        None if bytes[..read] == *END => return None,
        None => bytes[..read].to_vec(),
        Some(file) => {
            assert_eq!(read, 0);
            let seals = fcntl_get_seals(file).unwrap();
            assert!(seals.contains(SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK));
            let mut file = File::from(file.try_clone().unwrap());
            let mut entry = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut entry).unwrap();
            entry
        }
    };
    Some((encode::tests::fields(&entry).remove("MESSAGE").unwrap(), file.is_some()))
}

#[test]
fn a_journald_that_comes_later_or_anew_is_found() {
    let mut desk = Desk::new();
    let Answer::Later { trouble, .. } = desk.send("one") else { panic!() };
    assert!(trouble.reason == Reason::Connect && trouble.text.contains("No such file"));
    let reader = desk.reader();
    desk.taken("one");
    assert_eq!(reader.next(), ("one".into(), false));
    drop(reader);
    let Answer::Later { trouble, .. } = desk.send("two") else { panic!() };
    assert!(trouble.text.contains("refused"), "{}", trouble.text);
    let reader = desk.reader();
    desk.taken("two");
    assert_eq!(reader.next(), ("two".into(), false));
}

#[test]
fn what_no_datagram_holds_goes_in_a_sealed_file() {
    let mut desk = Desk::new();
    let reader = desk.reader();
    let large = "é".repeat(1024 * 1024);
    desk.taken(&large);
    assert_eq!(reader.next(), (large, true));
    desk.taken("small again");
    assert_eq!(reader.next(), ("small again".into(), false));
}

#[test]
fn a_journald_that_is_behind_is_waited_for() {
    let mut desk = Desk::new();
    let reader = desk.reader();
    // More than the queue of a socket holds.
    let answer = desk.send_all(0..5_000);
    assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    (0..5_000).for_each(|number| assert_eq!(reader.next().0, number.to_string()));
}

#[test]
fn what_a_journald_had_not_read_when_it_went_is_sent_again() {
    let mut desk = Desk::new();
    let socket = desk.socket();
    let reads_one = thread::spawn(move || message(&socket).unwrap().0);
    let Answer::Later { trouble, .. } = desk.send_all(0..3) else { panic!() };
    assert_eq!(trouble.reason, Reason::Connect);
    assert!(trouble.text.contains("may not have read all"), "{}", trouble.text);
    assert_eq!(reads_one.join().unwrap(), "0");
    let reader = desk.reader();
    assert!(matches!(desk.send_all(0..3), Answer::Taken { .. }));
    assert_eq!([0, 1, 2].map(|_| reader.next().0), ["0", "1", "2"]);
}
