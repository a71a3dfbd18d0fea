//! A connection to a NATS server.

use std::{io, sync::Arc};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_rustls::TlsConnector;

use super::{
    config::NatsUrl,
    encode::{self, Credentials, Info, Line},
};
use crate::{
    net::{TlsConfig, http::trouble::of_connection, resolve::Resolver},
    sinks::backend::{Reason, Trouble, Verdict},
};

/// Longest line that is read (bytes): the first one lists the servers of a cluster.
const LONGEST_LINE: u64 = 64 * 1024;
/// Longest message that is read (bytes): acknowledgements are short.
const LONGEST_MESSAGE: usize = 64 * 1024;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection that records can be published by.
pub struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    address: String,
    info: Info,
    /// Where answers come to; a number behind it tells which one.
    inbox: String,
    published: u64,
}

/// How a server is met.
pub struct Meeting<'a> {
    pub url: &'a NatsUrl,
    pub tls: &'a TlsConfig,
    pub resolver: &'a Resolver,
    pub credentials: &'a Credentials,
    /// What the connection is called there.
    pub name: &'a str,
}

impl Connection {
    /// Connects, and waits until the server let us in.
    ///
    /// # Errors
    /// Why it did not come about.
    pub async fn meet(meeting: Meeting<'_>) -> Result<Self, Trouble> {
        let Meeting { url, tls, resolver, credentials, name } = meeting;
        let address = url.to_string();
        let stream = resolver.connect(&url.host, url.port).await;
        let stream = stream.map_err(|error| of_connection(&address, &error))?;
        let inbox = format!("_INBOX.{}", random().map_err(|error| of_connection("", &error))?);
        let info = Info::default();
        let stream: BufReader<Box<dyn Stream>> = BufReader::new(Box::new(stream));
        let mut connection = Self { stream, address, info, inbox, published: 0 };
        let Line::Info(info) = connection.line().await? else {
            return Err(connection.confused("it does not begin with INFO; is it a NATS server?"));
        };
        if url.tls || info.tls_required {
            connection = connection.secured(url, tls).await?;
        }
        if !info.headers {
            return Err(connection.confused("it takes no headers; JetStream needs NATS 2.2"));
        }
        connection.info = info;
        let inbox = &connection.inbox;
        let hello = format!("{}SUB {inbox}.* 1\r\nPING\r\n", encode::connect(name, credentials));
        connection.write(hello.as_bytes()).await?;
        loop {
            match connection.line().await? {
                Line::Pong => return Ok(connection),
                Line::Error(error) => return Err(connection.refused(&error)),
                Line::Ping => connection.write(b"PONG\r\n").await?,
                Line::Ok | Line::Info(_) => {}
                Line::Message { .. } => return Err(connection.confused("a message for nobody")),
            }
        }
    }

    /// The same, by TLS from now on.
    async fn secured(self, url: &NatsUrl, tls: &TlsConfig) -> Result<Self, Trouble> {
        let wrong = |text| Trouble { reason: Reason::Tls, text };
        if !self.stream.buffer().is_empty() {
            return Err(self.confused("it says more than INFO before TLS"));
        }
        let connector = TlsConnector::from(Arc::new(tls.client().map_err(wrong)?));
        let name = tls.server_name(&url.host).map_err(wrong)?;
        let secured = connector.connect(name, self.stream.into_inner()).await;
        let secured = secured.map_err(|error| of_connection(&self.address, &error))?;
        Ok(Self { stream: BufReader::new(Box::new(secured)), ..self })
    }

    /// Publishes a record and waits for what the stream says.
    ///
    /// # Errors
    /// When the connection is of no use any more.
    pub async fn publish(
        &mut self,
        message: impl FnOnce(&str) -> Vec<u8>,
    ) -> Result<Verdict, Trouble> {
        self.published += 1;
        let reply = format!("{}.{}", self.inbox, self.published);
        let message = message(&reply);
        let (size, most) = (encode::payload(&message), self.info.max_payload);
        if size > most {
            return Ok(Verdict::Refused(format!(
                "{size} bytes; the server's max_payload is {most}"
            )));
        }
        self.write(&message).await?;
        loop {
            match self.line().await? {
                Line::Ping => self.write(b"PONG\r\n").await?,
                Line::Error(error) => return Err(self.refused(&error)),
                Line::Info(info) => self.info = info,
                Line::Ok | Line::Pong => {}
                Line::Message { subject, headers, total } => {
                    let body = self.body(total).await?;
                    // What answers an earlier one comes too late.
                    if subject == reply {
                        let (headers, body) = body.split_at(headers.min(body.len()));
                        return Ok(encode::verdict(headers, body));
                    }
                }
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let stream = self.stream.get_mut();
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        written.await.map_err(|error| of_connection(&self.address, &error))
    }

    async fn line(&mut self) -> Result<Line, Trouble> {
        let mut bytes = Vec::new();
        let read = (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut bytes).await;
        read.map_err(|error| of_connection(&self.address, &error))?;
        if bytes.is_empty() {
            let ended = io::Error::new(io::ErrorKind::UnexpectedEof, "it ended the connection");
            return Err(of_connection(&self.address, &ended));
        }
        let line = str::from_utf8(&bytes).ok().filter(|line| line.ends_with('\n'));
        let line = line.and_then(encode::line);
        line.ok_or_else(|| self.confused("a line that no NATS server sends"))
    }

    /// A message and the end of the line behind it.
    async fn body(&mut self, total: usize) -> Result<Vec<u8>, Trouble> {
        if total > LONGEST_MESSAGE {
            return Err(self.confused("an answer that is too long"));
        }
        let mut body = vec![0; total + 2];
        let read = self.stream.read_exact(&mut body).await;
        read.map_err(|error| of_connection(&self.address, &error))?;
        body.truncate(total);
        Ok(body)
    }

    fn confused(&self, text: &str) -> Trouble {
        Trouble { reason: Reason::Protocol, text: format!("{}: {text}", self.address) }
    }

    fn refused(&self, error: &str) -> Trouble {
        let Trouble { reason, text } = encode::trouble(error);
        Trouble { reason, text: format!("{}: {text}", self.address) }
    }
}

/// A word that nobody guesses: whoever knows an inbox can answer there.
fn random() -> io::Result<String> {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(uuid.trim().to_owned())
}
