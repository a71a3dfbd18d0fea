//! `/metrics` over HTTP, on loopback by default, and `/livez` and `/readyz` for the kubelet.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};

use super::{Metrics, door::Door};
use crate::{
    probe::counters::Counters,
    supervise::{
        End, Part, Spawner,
        health::{Answer, Health},
    },
};

/// Connections served at once; more wait in the backlog.
const CONNECTIONS: usize = 8;
/// Longest a connection may last, so that a slow reader cannot hold one of the few.
const LONGEST: Duration = Duration::from_secs(30);
/// Longest a client may take to send its request.
const HEADERS: Duration = Duration::from_secs(5);

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
    pub counters: Arc<Counters>,
    pub health: Arc<Health>,
}

impl Exporter {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into());
        }
        match request.uri().path() {
            "/metrics" => self.scrape(),
            "/livez" => told(self.health.live()),
            "/readyz" => told(self.health.readiness()),
            _ => plain(StatusCode::NOT_FOUND, "see /metrics, /livez and /readyz\n".into()),
        }
    }

    fn scrape(&self) -> Response<Full<Bytes>> {
        self.metrics.scrapes.inc();
        self.metrics.observe_kernel(&self.counters);
        match self.metrics.encode() {
            Ok(text) => plain(StatusCode::OK, text),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n").into()),
        }
    }
}

fn told(answer: Answer) -> Response<Full<Bytes>> {
    let status = if answer.well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    plain(status, answer.text.into())
}

fn plain(status: StatusCode, text: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static(prometheus::TEXT_FORMAT);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Serves without end.
///
/// # Errors
/// None that is known of.
pub fn serve(
    listener: TcpListener,
    exporter: Arc<Exporter>,
    clients: Spawner,
) -> impl Future<Output = io::Result<()>> {
    // Before anything else of the agent may take its fd.
    let door = Door::new(listener, exporter.metrics.accept_failures.clone());
    receive(door, exporter, clients)
}

async fn receive(mut door: Door, exporter: Arc<Exporter>, clients: Spawner) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, reserve) = door.accept().await;
        let exporter = Arc::clone(&exporter);
        clients.spawn(CLIENT, async move {
            let service = service_fn(|request| {
                let response = exporter.answer(&request);
                async { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .max_buf_size(16 * 1024)
                // Others wait for the fd.
                .keep_alive(reserve.is_none())
                .serve_connection(TokioIo::new(stream), service);
            // How a client goes away is its own affair.
            let _ = timeout(LONGEST, connection).await;
            if let Some(reserve) = reserve {
                reserve.fill();
            }
            drop(slot);
            Ok(())
        });
    }
}
