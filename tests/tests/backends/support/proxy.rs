//! A proxy that does to connections what networks and servers in trouble do.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Result, ensure};

/// What is done to a connection.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing: bytes go both ways.
    None,
    /// It is ended at once.
    Close,
    /// Nothing is ever answered.
    Hang,
    /// It is ended in the middle of what is sent, some of which the server gets.
    Cut,
    /// The answer is no answer of any protocol.
    Garbage,
    /// The answer of HTTP, whatever is asked.
    Http(&'static str),
}

/// Bytes that the server gets before a cut: more than any greeting, less than a batch.
const BEFORE_CUT: usize = 8_000;

#[derive(Debug)]
struct State {
    to: String,
    fault: Fault,
    /// How often the fault was done.
    done: usize,
    /// What is open, to be ended when the fault changes.
    open: Vec<TcpStream>,
}

/// A proxy in front of a server. It goes with the test's process.
pub struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// One that does nothing yet to connections to the server at this address.
    pub fn start(to: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state = State { to, fault: Fault::None, done: 0, open: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let of_listener = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&of_listener);
                thread::spawn(move || serve(client, &state));
            }
        });
        Ok(Self { port, state })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on it does this, and what is open is ended.
    pub fn fault(&self, fault: Fault) {
        let mut state = lock(&self.state);
        (state.fault, state.done) = (fault, 0);
        // It may have ended itself.
        state.open.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    /// Fails unless the fault was done so often by now.
    pub fn has_done(&self, times: usize) -> Result<()> {
        let State { fault, done, .. } = &*lock(&self.state);
        ensure!(*done >= times, "{fault:?} was done {done} times");
        Ok(())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(client: TcpStream, state: &Mutex<State>) {
    let (fault, to) = {
        let mut state = lock(state);
        state.open.extend(client.try_clone());
        (state.fault, state.to.clone())
    };
    // A connection that breaks is what this is about.
    let _ = disturb(&client, fault, &to, state);
    let _ = client.shutdown(Shutdown::Both);
}

fn disturb(mut client: &TcpStream, fault: Fault, to: &str, state: &Mutex<State>) -> Result<()> {
    let mut some = [0; 1_024];
    match fault {
        Fault::Close => lock(state).done += 1,
        Fault::Hang => {
            lock(state).done += 1;
            // Until the other side has enough.
            while client.read(&mut some)? > 0 {}
        }
        Fault::Garbage | Fault::Http(_) => {
            let answer = match fault {
                Fault::Http(head) => {
                    let _asked = client.read(&mut some)?;
                    let head = format!("HTTP/1.1 {head}\r\nConnection: close");
                    format!("{head}\r\nContent-Length: 5\r\n\r\n\u{1}<b>\n")
                }
                // Before anything is asked, as some protocols begin with a greeting.
                _ => "\u{0}\u{1}\u{7f} no protocol at all \r\n\r\n".repeat(9),
            };
            client.write_all(answer.as_bytes())?;
            client.shutdown(Shutdown::Write)?;
            lock(state).done += 1;
            // Who closes with bytes unread resets, and the answer may be lost with that.
            while client.read(&mut some)? > 0 {}
        }
        Fault::None | Fault::Cut => {
            let server = TcpStream::connect(to)?;
            let (back, forth) = (server.try_clone()?, client.try_clone()?);
            let names = [server.peer_addr()?, client.local_addr()?].map(name);
            thread::spawn(move || {
                let _ = copy(&back, &forth, usize::MAX, |bytes| rename(bytes, &names));
                let _ = forth.shutdown(Shutdown::Both);
            });
            let most = if matches!(fault, Fault::Cut) { BEFORE_CUT } else { usize::MAX };
            let copied = copy(client, &server, most, |_| ());
            lock(state).done += 1;
            server.shutdown(Shutdown::Both)?;
            copied?;
        }
    }
    Ok(())
}

/// An address as a broker of Kafka tells it to its clients: host, and port in four bytes.
fn name(address: SocketAddr) -> Vec<u8> {
    let port = u32::from(address.port()).to_be_bytes();
    [address.ip().to_string().as_bytes(), &port].concat()
}

/// Puts the second name in the place of the first, which is as long: clients are to stay with the proxy.
fn rename(bytes: &mut [u8], [from, to]: &[Vec<u8>; 2]) {
    for at in 0..(bytes.len() + 1).saturating_sub(from.len()) {
        let place = &mut bytes[at..at + from.len()];
        if place == from {
            place.copy_from_slice(to);
        }
    }
}

/// Copies until the end, or so many bytes, with something done to all that is read.
fn copy(
    mut from: &TcpStream,
    mut to: &TcpStream,
    most: usize,
    alter: impl Fn(&mut [u8]),
) -> Result<()> {
    let (mut bytes, mut copied) = ([0; 4_096], 0);
    while copied < most {
        let read = from.read(&mut bytes)?;
        if read == 0 {
            break;
        }
        alter(&mut bytes[..read]);
        to.write_all(&bytes[..read])?;
        copied += read;
    }
    Ok(())
}
