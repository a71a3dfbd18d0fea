//! Connections to a server: by a unix socket, TCP or TLS.

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    task::yield_now,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::net::{TlsConfig, resolve::Resolver};

/// Longest time from the look-up of a name to the end of the TLS handshake.
const LONGEST: Duration = Duration::from_secs(10);
/// How long a server has to say that it does not want us: by TLS 1.3 it does so when for us the handshake
/// is over.
const REFUSAL: Duration = Duration::from_millis(200);
/// Bytes of the other side that are read at once. It has nothing to say, so that they are for nobody.
const TALK: usize = 1024;
/// Most times that such bytes are read before something is sent: who says more is none of syslog's.
const MOST_TALK: usize = 16;

/// Both directions of a connection.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// A connection.
pub struct Connection {
    pub stream: Box<dyn Duplex + Send>,
    /// Of its socket, which `stream` owns.
    fd: RawFd,
}

impl Connection {
    fn new(fd: RawFd, stream: impl Duplex + Send + 'static) -> Self {
        Self { stream: Box::new(stream), fd }
    }

    /// Looks, without waiting, whether the other side closed it or said that it is over.
    ///
    /// # Errors
    /// When it did.
    pub async fn check(&mut self) -> io::Result<()> {
        // The runtime hears of what came only when it looks, which it does now.
        yield_now().await;
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..MOST_TALK {
            let mut talk = [0; TALK];
            let mut buffer = ReadBuf::new(&mut talk);
            match Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Err(closed()),
                Poll::Ready(read) => read?,
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "it talks, as no syslog server does"))
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "it closed the connection")
}

/// Where a server is.
pub enum Peer {
    Local(PathBuf),
    Network { host: String, port: u16, resolver: Resolver, tls: Option<TlsConfig> },
}

impl Peer {
    /// Connects.
    ///
    /// # Errors
    /// Why that was not possible in time.
    pub async fn connect(&self) -> io::Result<Connection> {
        timeout(LONGEST, self.connecting()).await.unwrap_or_else(|_| {
            let text = format!("no connection within {} s", LONGEST.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }

    async fn connecting(&self) -> io::Result<Connection> {
        let (host, port, resolver, tls) = match self {
            Self::Local(path) => {
                let stream = UnixStream::connect(path).await?;
                return Ok(Connection::new(stream.as_raw_fd(), stream));
            }
            Self::Network { host, port, resolver, tls } => (host, *port, resolver, tls),
        };
        let stream = resolver.connect(host, port).await?;
        stream.set_nodelay(true)?;
        let fd = stream.as_raw_fd();
        match tls {
            None => Ok(Connection::new(fd, stream)),
            Some(tls) => by_tls(fd, stream, host, tls).await,
        }
    }
}

async fn by_tls(
    fd: RawFd,
    stream: TcpStream,
    host: &str,
    tls: &TlsConfig,
) -> io::Result<Connection> {
    // Files are read anew: certificates are renewed.
    let client = tls.client().map_err(io::Error::other)?;
    let name = tls.server_name(host).map_err(io::Error::other)?;
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
    match timeout(REFUSAL, stream.read(&mut [0; TALK])).await {
        Ok(Ok(0)) => Err(closed()),
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(Connection::new(fd, stream)),
    }
}
