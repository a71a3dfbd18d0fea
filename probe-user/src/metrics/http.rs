//! `/metrics` over HTTP, on loopback by default, and `/healthz` and `/readyz` for the kubelet.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Metrics,
    access::Access,
    door::Door,
    guests::{Guests, Seat},
};
use crate::supervise::{
    End, Part, Spawner,
    health::{Answer, Health},
};

/// Longest a connection may last.
const LONGEST: Duration = Duration::from_secs(30);
/// Longest a client may take to agree on TLS, and to send a request.
const HEADERS: Duration = Duration::from_secs(5);
/// Most of a request that is read (bytes).
const REQUEST: usize = 16 * 1024;

/// The task that accepts.
pub const PART: Part = Part {
    name: "metrics",
    end: End::Never,
    help: "nobody can tell how it goes without it: start nodeprobe again",
    turns: None,
};

/// A task for each connection.
pub const CLIENT: Part =
    Part { name: "metrics-client", end: End::Any, help: "others are served", turns: None };

/// What a scrape reads.
pub struct Exporter {
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    pub access: Access,
    /// Takes over what is only looked up when somebody asks.
    pub look: Box<dyn Fn(&Metrics) + Send + Sync>,
}

impl Exporter {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into());
        }
        match request.uri().path() {
            // The kubelet has no token: what these say is for everybody who comes this far.
            "/healthz" | "/livez" => told(self.health.live()),
            "/readyz" => told(self.health.readiness()),
            _ if !self.access.lets_in(request.headers()) => stranger(),
            "/metrics" => self.scrape(),
            _ => plain(StatusCode::NOT_FOUND, "see /metrics, /healthz and /readyz\n".into()),
        }
    }

    fn scrape(&self) -> Response<Full<Bytes>> {
        self.metrics.scrapes.inc();
        self.metrics.observe_process();
        (self.look)(&self.metrics);
        match self.metrics.encode() {
            Ok(text) => plain(StatusCode::OK, text),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n").into()),
        }
    }

    /// Serves a client until it goes, or has been here for long enough.
    async fn serve(&self, stream: TcpStream, seat: &Seat, stays: bool) {
        match self.access.tls() {
            None => self.speak(stream, seat, stays).await,
            Some(tls) => {
                let greeted = timeout(HEADERS, TlsAcceptor::from(tls).accept(stream)).await;
                if let Ok(Ok(stream)) = greeted {
                    self.speak(stream, seat, stays).await;
                }
            }
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        seat: &Seat,
        keep_alive: bool,
    ) {
        let service = service_fn(|request| {
            seat.asked();
            let response = self.answer(&request);
            async { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_buf_size(REQUEST)
            .keep_alive(keep_alive)
            .serve_connection(TokioIo::new(stream), service);
        // How a client goes away is its own affair.
        let _ = connection.await;
    }
}

fn told(answer: Answer) -> Response<Full<Bytes>> {
    let status = if answer.well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    plain(status, answer.text.into())
}

/// RFC 6750, section 3.
fn stranger() -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::UNAUTHORIZED, "send the token of token_file\n".into());
    let how = HeaderValue::from_static("Bearer realm=\"nodeprobe\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
    response
}

fn plain(status: StatusCode, text: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(prometheus::TEXT_FORMAT);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Serves without end.
///
/// # Errors
/// When the runtime cannot watch the listener.
pub fn serve(
    listener: TcpListener,
    exporter: Arc<Exporter>,
    clients: Spawner,
) -> impl Future<Output = io::Result<()>> {
    // Before anything else of the agent may take its fd.
    let door = Door::new(listener, exporter.metrics.accept_failures.clone());
    async move { receive(door?, exporter, clients).await }
}

async fn receive(mut door: Door, exporter: Arc<Exporter>, clients: Spawner) -> io::Result<()> {
    let guests = Arc::<Guests>::default();
    loop {
        let (stream, reserve) = door.accept().await;
        let seat = guests.seat().await;
        let exporter = Arc::clone(&exporter);
        clients.spawn(CLIENT, async move {
            // Where it has the fd in reserve, others wait for that.
            let served = timeout(LONGEST, exporter.serve(stream, &seat, reserve.is_none()));
            tokio::select! {
                _ = served => {}
                () = seat.taken() => {}
            }
            if let Some(reserve) = reserve {
                reserve.fill();
            }
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests;
