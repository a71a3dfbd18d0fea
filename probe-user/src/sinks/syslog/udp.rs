//! Messages by UDP: nobody says that one came. That none did is heard where the other side's kernel says
//! so at once.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::UdpSocket, time::timeout};

use crate::net::resolve::Resolver;

/// How long it is listened for a host that refuses.
const REFUSAL: Duration = Duration::from_millis(50);

/// A server.
pub struct Udp {
    pub host: String,
    pub port: u16,
    pub resolver: Resolver,
    socket: Option<UdpSocket>,
}

impl Udp {
    /// At this address.
    ///
    /// # Errors
    /// When its name cannot be looked up later.
    pub fn new(host: &str, port: u16) -> Result<Self, String> {
        Ok(Self { host: host.into(), port, resolver: Resolver::for_host(host)?, socket: None })
    }

    /// Sends messages, and listens for a refusal.
    ///
    /// # Errors
    /// When the last of them, or all, came nowhere.
    pub async fn send(&mut self, messages: impl Iterator<Item = Vec<u8>>) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.connect().await?,
        };
        for message in messages {
            socket.send(&message).await?;
        }
        // A server of syslog sends nothing: what wakes us is an error, or to be left alone.
        if let Ok(Err(error)) = timeout(REFUSAL, socket.recv(&mut [0])).await {
            return Err(error);
        }
        self.socket = Some(socket);
        Ok(())
    }

    async fn connect(&self) -> io::Result<UdpSocket> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in self.resolver.addresses(&self.host).await? {
            let any: SocketAddr =
                if address.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
            let socket = UdpSocket::bind(any).await?;
            match socket.connect((address.ip(), self.port)).await {
                Ok(()) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}
