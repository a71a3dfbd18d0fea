//! Records as syslog messages (RFC 5424): to a unix socket, by UDP, TCP or TLS.
//!
//! No transport of syslog has an answer. What is known of a message is that a datagram left, or that the
//! kernel of the other side acknowledged the bytes of a stream. Each message has the id of its record, by
//! which doubles can be told.

use std::sync::Arc;

use super::{
    Backend,
    backend::{Answer, Sending},
    record::Record,
};
use crate::net::{TlsConfig, http::trouble::of_connection, local::Local, resolve::Resolver};

pub mod config;
mod connection;
pub mod encode;
mod stream;
pub mod target;
mod udp;

use config::Framing;
use connection::Peer;
use encode::Encoder;
use stream::Stream;
use target::{LocalKind, Network, Target};
use udp::Udp;

/// A server of syslog.
pub struct SyslogBackend {
    /// Its address, for messages.
    address: String,
    encoder: Encoder,
    way: Way,
}

/// How messages get there.
enum Way {
    Local(Local),
    Udp(Udp),
    Stream(Stream),
}

impl SyslogBackend {
    /// For the server at `to`; whether it is there is not asked yet.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn open(
        to: &Target,
        framing: Framing,
        tls: &TlsConfig,
        encoder: Encoder,
    ) -> Result<Self, String> {
        let way = match to {
            Target::Local(path, LocalKind::Datagram) => Way::Local(Local::new(path)),
            Target::Local(path, LocalKind::Stream) => {
                Way::Stream(Stream::new(Peer::Local(path.clone()), framing))
            }
            Target::Network(Network::Udp, host, port) => Way::Udp(Udp::new(host, *port)?),
            Target::Network(network, host, port) => {
                let tls = (*network == Network::Tls).then(|| tls.clone());
                if let Some(tls) = &tls {
                    // What is wrong with the files is said now; they are read again to connect.
                    tls.client().map_err(|why| format!("tls: {why}"))?;
                    tls.server_name(host).map_err(|why| format!("tls.server_name: {why}"))?;
                }
                let (host, port, resolver) = (host.clone(), *port, Resolver::for_host(host)?);
                Way::Stream(Stream::new(Peer::Network { host, port, resolver, tls }, framing))
            }
        };
        Ok(Self { address: to.to_string(), encoder, way })
    }

    async fn hand_over(&mut self, batch: &[Arc<Record>]) -> Answer {
        let Self { address, encoder, way } = self;
        let (sent, said) = match way {
            Way::Local(local) => {
                let one = async |record: &Record| match local.send(&encoder.message(record)).await {
                    Ok(()) => Answer::Taken { said: "sent; nobody says that it was read".into() },
                    Err(error) => local.trouble(&error),
                };
                return Answer::one_by_one(batch, one).await;
            }
            Way::Udp(udp) => {
                let messages = batch.iter().map(|record| encoder.message(record));
                (udp.send(messages).await, "sent by UDP; nobody says that it came")
            }
            Way::Stream(stream) => {
                let said = "the kernel of the other side has it; whether it was read is not said";
                (stream.send(batch, encoder).await, said)
            }
        };
        match sent {
            Ok(()) => Answer::Taken { said: said.into() },
            Err(error) => Answer::Later { trouble: of_connection(address, &error), after: None },
        }
    }
}

impl Backend for SyslogBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(self.hand_over(batch))
    }
}

#[cfg(test)]
mod tests;
