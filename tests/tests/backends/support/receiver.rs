//! A stub that takes webhooks: an HTTP server that keeps what is posted to it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result, ensure};

use super::server::free_ports;

/// The stub. While it is down nobody listens on its port.
pub struct Receiver {
    port: u16,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    listener: Option<TcpListener>,
}

impl Receiver {
    /// One that is up.
    pub fn start() -> Result<Self> {
        let [port] = free_ports(1)?[..] else { unreachable!("one was asked for") };
        let mut receiver = Self { port, bodies: Arc::default(), listener: None };
        receiver.up()?;
        Ok(receiver)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// All that was posted, in its order.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Listens, again or at last.
    pub fn up(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address())?;
        self.listener = Some(listener.try_clone()?);
        let bodies = Arc::clone(&self.bodies);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let bodies = Arc::clone(&bodies);
                // A client that goes in the middle of a request has posted nothing.
                thread::spawn(move || drop(take(&client, &bodies)));
            }
        });
        Ok(())
    }

    /// Listens no more.
    pub fn down(&mut self) -> Result<()> {
        let listener = self.listener.take().context("it is down")?;
        // Who waits in accept(2) gets an error then.
        Ok(rustix::net::shutdown(&listener, rustix::net::Shutdown::Both)?)
    }
}

fn take(client: &TcpStream, bodies: &Mutex<Vec<Vec<u8>>>) -> Result<()> {
    let (mut from, mut to) = (BufReader::new(client), client);
    let mut length = None;
    loop {
        let mut line = String::new();
        ensure!(from.read_line(&mut line)? > 0, "the request has no end");
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = Some(value.trim().parse()?);
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length.context("no length")?];
    from.read_exact(&mut body)?;
    bodies.lock().unwrap_or_else(PoisonError::into_inner).push(body);
    to.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
    Ok(client.shutdown(Shutdown::Both)?)
}
