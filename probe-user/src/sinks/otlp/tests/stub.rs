//! A collector that misbehaves as it is told, by HTTP/1 and by gRPC.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::Read,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full, combinators::WithTrailers};
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
};

use crate::sinks::otlp::{
    config::Protocol,
    grpc::framed,
    proto::{ExportLogsServiceRequest, ExportLogsServiceResponse, LogRecord},
};

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Play {
    Answer(ExportLogsServiceResponse),
    /// A gRPC status without a message, and more headers.
    Fail(i32, Vec<(&'static str, String)>),
    /// An HTTP status.
    Http(u16, Vec<(&'static str, String)>),
    Hang,
    /// The connection ends.
    Close,
}

/// What it was sent.
pub struct Sent {
    pub headers: HeaderMap,
    pub path: String,
    pub records: Vec<LogRecord>,
}

pub struct Stub {
    pub port: u16,
    pub sent: mpsc::UnboundedReceiver<Sent>,
}

struct Stage {
    protocol: Protocol,
    plays: Mutex<VecDeque<Play>>,
    sent: mpsc::UnboundedSender<Sent>,
}

impl Stub {
    /// Does with the first request the first of `plays`, and so on; later ones are taken.
    pub async fn start(protocol: Protocol, plays: impl IntoIterator<Item = Play>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (to, sent) = mpsc::unbounded_channel();
        let plays = Mutex::new(plays.into_iter().collect());
        let stage = Arc::new(Stage { protocol, plays, sent: to });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(TokioIo::new(stream), Arc::clone(&stage)));
            }
        });
        Self { port, sent }
    }
}

async fn serve(stream: TokioIo<tokio::net::TcpStream>, stage: Arc<Stage>) {
    let close = Arc::new(Notify::new());
    let closed = Arc::clone(&close);
    let protocol = stage.protocol;
    let service = service_fn(move |request| {
        let (stage, close) = (Arc::clone(&stage), Arc::clone(&close));
        async move { Ok::<_, Infallible>(answer(request, &stage, &close).await) }
    });
    let serving = async {
        // However the connection ends: the test tells what was to come of it.
        let _ = match protocol {
            Protocol::Http => http1::Builder::new().serve_connection(stream, service).await,
            Protocol::Grpc => {
                http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
            }
        };
    };
    tokio::select! {
        () = serving => {}
        () = closed.notified() => {}
    }
}

type Body = WithTrailers<Full<Bytes>, std::future::Ready<Option<Result<HeaderMap, Infallible>>>>;

async fn answer(request: Request<Incoming>, stage: &Stage, close: &Notify) -> Response<Body> {
    let play = stage.plays.lock().unwrap().pop_front();
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let records = read(stage.protocol, &parts.headers, &body);
    let path = parts.uri.path().to_owned();
    // A test that hears enough stops listening.
    let _ = stage.sent.send(Sent { headers: parts.headers, path, records });
    match play.unwrap_or_else(|| Play::Answer(ExportLogsServiceResponse::default())) {
        Play::Answer(response) => {
            let message = response.encode_to_vec();
            match stage.protocol {
                Protocol::Http => respond(200, &[], message, None),
                Protocol::Grpc => {
                    let trailers = headers(&[("grpc-status", "0".into())]);
                    respond(200, &[], framed(&message, false), Some(trailers))
                }
            }
        }
        Play::Fail(code, mut more) => {
            more.push(("grpc-status", code.to_string()));
            respond(200, &more, Vec::new(), None)
        }
        Play::Http(status, more) => respond(status, &more, Vec::new(), None),
        Play::Hang => std::future::pending().await,
        Play::Close => {
            close.notify_one();
            std::future::pending().await
        }
    }
}

fn headers(all: &[(&'static str, String)]) -> HeaderMap {
    let one = |(name, value): &(&'static str, String)| {
        (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    all.iter().map(one).collect()
}

fn respond(
    status: u16,
    more: &[(&'static str, String)],
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
) -> Response<Body> {
    let trailers = std::future::ready(trailers.map(Ok));
    let mut response = Response::new(Full::new(Bytes::from(body)).with_trailers(trailers));
    *response.status_mut() = status.try_into().unwrap();
    *response.headers_mut() = headers(more);
    response
}

fn read(protocol: Protocol, headers: &HeaderMap, body: &[u8]) -> Vec<LogRecord> {
    let (compressed, body) = match protocol {
        Protocol::Http => (headers.contains_key(header::CONTENT_ENCODING), body),
        Protocol::Grpc => {
            let (prefix, message) = body.split_first_chunk::<5>().unwrap();
            assert_eq!(prefix[1..], u32::try_from(message.len()).unwrap().to_be_bytes());
            (prefix[0] == 1, message)
        }
    };
    let mut plain = Vec::new();
    match compressed {
        true => drop(GzDecoder::new(body).read_to_end(&mut plain).unwrap()),
        false => plain.extend(body),
    }
    let request = ExportLogsServiceRequest::decode(plain.as_slice()).unwrap();
    let logs = request.resource_logs.into_iter().flat_map(|logs| logs.scope_logs);
    logs.flat_map(|logs| logs.log_records).collect()
}
