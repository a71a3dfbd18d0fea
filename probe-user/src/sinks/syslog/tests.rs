use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, UdpSocket},
    os::unix::net::{UnixDatagram, UnixListener},
    path::Path,
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use rustls::{ServerConnection, StreamOwned};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{
    findings::testing::finding,
    net::testing::Authority,
    sinks::{Kind, backend::Reason, kinds::Site},
};

mod stream;

/// A sink on a thread with a runtime, as sinks have them.
struct Desk {
    runtime: Runtime,
    backend: Box<dyn Backend>,
}

impl Desk {
    fn new(config: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let backend = open(config).unwrap();
        drop(_inside);
        Self { runtime, backend }
    }

    fn send(&mut self, batch: &[Arc<Record>]) -> Answer {
        self.runtime.block_on(self.backend.send(batch))
    }

    fn taken(&mut self, numbers: impl IntoIterator<Item = usize>) {
        let batch = records(numbers);
        let answer = self.send(&batch);
        assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    }

    fn trouble(&mut self, numbers: impl IntoIterator<Item = usize>) -> (Reason, String) {
        match self.send(&records(numbers)) {
            Answer::Later { trouble, .. } => (trouble.reason, trouble.text),
            other => panic!("{other:?}"),
        }
    }
}

fn open(config: &str) -> Result<Box<dyn Backend>, String> {
    let config: config::SyslogConfig =
        toml::from_str(config).map_err(|error| error.message().to_owned())?;
    config.open(&Site { sink: "test", node: "node-1".into() })
}

fn records(numbers: impl IntoIterator<Item = usize>) -> Vec<Arc<Record>> {
    padded(0, numbers)
}

/// More than fits between two kernels, so that it cannot all be acknowledged before it is read.
fn many() -> Vec<Arc<Record>> {
    padded(7_000, 0..2_000)
}

fn padded(bytes: usize, numbers: impl IntoIterator<Item = usize>) -> Vec<Arc<Record>> {
    let padding = "x".repeat(bytes);
    let record = |number| {
        let mut finding = finding();
        finding.summary = format!("{padding}number {number}");
        Arc::new(Record::of_finding(finding))
    };
    numbers.into_iter().map(record).collect()
}

/// The number in a message.
fn number(message: &str) -> usize {
    message.trim_end().rsplit_once("number ").unwrap().1.parse().unwrap()
}

/// Reads a message of a stream, octet-counted.
fn counted(from: &mut impl BufRead) -> Option<String> {
    let mut length = Vec::new();
    from.read_until(b' ', &mut length).ok().filter(|read| *read > 0)?;
    let length: usize = std::str::from_utf8(&length).unwrap().trim_end().parse().unwrap();
    let mut message = vec![0; length];
    from.read_exact(&mut message).ok()?;
    Some(String::from_utf8(message).unwrap())
}

/// What a server does with a connection: it reads so many messages and closes it.
fn server(listener: TcpListener, reads: Vec<usize>) -> Receiver<usize> {
    let (to, numbers) = channel();
    thread::spawn(move || {
        for most in reads {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            let messages = std::iter::from_fn(|| counted(&mut stream)).take(most);
            messages.for_each(|message| to.send(number(&message)).unwrap());
        }
    });
    numbers
}

fn tcp() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, format!("to = \"tcp://127.0.0.1:{port}\""))
}

#[test]
fn a_socket_that_comes_later_is_found_and_one_that_comes_anew_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut desk = Desk::new(&format!("to = \"unix:{}\"", path.display()));
    let (reason, text) = desk.trouble(0..2);
    assert_eq!(reason, Reason::Connect);
    assert!(text.contains("log: No such file"), "{text}");
    let mut bytes = [0; 9000];
    let mut next = |socket: &UnixDatagram| {
        let read = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..read].into()).unwrap()
    };
    let socket = UnixDatagram::bind(&path).unwrap();
    desk.taken(0..2);
    assert_eq!([number(&next(&socket)), number(&next(&socket))], [0, 1]);
    drop(socket);
    assert_eq!(desk.trouble(2..3).0, Reason::Connect, "nobody reads it");
    fs::remove_file(&path).unwrap();
    let socket = UnixDatagram::bind(&path).unwrap();
    desk.taken(2..3);
    let message = next(&socket);
    assert!(message.starts_with("<28>1 ") && number(&message) == 2, "{message}");
}

#[test]
fn the_wrong_kind_of_socket_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let listener = UnixListener::bind(&path).unwrap();
    let mut desk = Desk::new(&format!("to = \"unix:{}\"", path.display()));
    let (_, text) = desk.trouble(0..1);
    assert!(text.contains("unix-stream:PATH"), "{text}");
    let reader = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        BufReader::new(stream).lines().map(|line| number(&line.unwrap())).collect::<Vec<_>>()
    });
    let mut desk = Desk::new(&format!("to = \"unix-stream:{}\"", path.display()));
    desk.taken(0..3);
    drop(desk);
    assert_eq!(reader.join().unwrap(), [0, 1, 2], "each ends with a newline");
}

#[test]
fn udp_is_tried_again_where_the_host_says_that_nobody_listens() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let mut desk = Desk::new(&format!("to = \"udp://{address}\""));
    let (reason, text) = desk.trouble(0..1);
    assert!(reason == Reason::Connect && text.contains("refused"), "{text}");
    let socket = UdpSocket::bind(address).unwrap();
    desk.taken(0..1);
    let mut bytes = [0; 4096];
    let read = socket.recv(&mut bytes).unwrap();
    assert_eq!(number(std::str::from_utf8(&bytes[..read]).unwrap()), 0);
}

/// A TLS server for one connection: the messages it read, or nothing where the handshake failed.
fn tls_server(authority: &Authority, clients: bool) -> (u16, thread::JoinHandle<Vec<usize>>) {
    let (listener, config) =
        (TcpListener::bind("127.0.0.1:0"), authority.server("localhost", clients));
    let listener = listener.unwrap();
    let port = listener.local_addr().unwrap().port();
    let reader = move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
        let _ = stream.flush();
        let mut stream = BufReader::new(stream);
        std::iter::from_fn(|| counted(&mut stream)).map(|message| number(&message)).collect()
    };
    (port, thread::spawn(reader))
}

fn tls(port: u16, ca: &Path, more: &str) -> String {
    format!("to = \"tls://localhost:{port}\"\n[tls]\nca_file = {ca:?}\n{more}")
}

#[test]
fn by_tls_both_sides_show_who_they_are() {
    let authority = Authority::make();
    let (cert, key) = authority.sign("node-1");
    let (port, reader) = tls_server(&authority, true);
    let own = format!("cert_file = {cert:?}\nkey_file = {key:?}");
    let mut desk = Desk::new(&tls(port, &authority.ca(), &own));
    desk.taken(0..3);
    drop(desk);
    assert_eq!(reader.join().unwrap(), [0, 1, 2]);
    // A server that wants to know, and is not told, has taken nothing.
    let (port, reader) = tls_server(&authority, true);
    let (reason, text) = Desk::new(&tls(port, &authority.ca(), "")).trouble(0..3);
    assert!(reason == Reason::Tls && text.contains("tls.cert_file"), "{reason:?} {text}");
    assert!(reader.join().unwrap().is_empty());
    // Nor has one that somebody else vouches for.
    let (port, reader) = tls_server(&authority, false);
    let (reason, text) = Desk::new(&tls(port, &Authority::make().ca(), "")).trouble(0..3);
    assert!(reason == Reason::Tls && text.contains("tls.ca_file"), "{reason:?} {text}");
    assert!(reader.join().unwrap().is_empty());
}

#[test]
fn mistakes_say_what_is_allowed() {
    let said = |config: &str| open(config).err().unwrap();
    for (to, why) in [
        ("tcp://127.0.0.1", "is not HOST:PORT"),
        ("tcp://127.0.0.1:0", "is not HOST:PORT"),
        ("tcp://[::1:514", "is not HOST:PORT"),
        ("udp://a b:514", "is not HOST:PORT"),
        ("/dev/log", "none of unix:PATH"),
        ("unix:dev/log", "begins with /"),
    ] {
        assert!(said(&format!("to = {to:?}")).contains(why), "{to}");
    }
    assert!(said("framing = \"lf\"").contains("no stream"));
    assert!(said("to = \"tcp://a:1\"\n[tls]\nserver_name = \"a\"").contains("tls://HOST:PORT"));
    assert!(said("max_bytes = 1023").contains("from 1024 to 65000"));
    assert!(said("facility = \"kern\"").contains("`daemon`"));
    for sd_id in ["nodeprobe", "a b@1", "@1", "a@", "a@1.", "a@x", "a]@1"] {
        assert!(said(&format!("sd_id = {sd_id:?}")).contains("nodeprobe@32473"), "{sd_id}");
    }
    for to in ["unix:/a", "unix-stream:/a", "udp://[::1]:514", "tcp://log.example:601"] {
        let config: config::SyslogConfig = toml::from_str(&format!("to = {to:?}")).unwrap();
        assert_eq!(config.to.to_string(), to);
    }
}
