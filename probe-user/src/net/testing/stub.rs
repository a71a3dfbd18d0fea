//! An HTTP server that does as a test says, on a thread of its own.

use std::{
    future::pending,
    io::Read,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Frame, Incoming},
    header::{CONTENT_ENCODING, HeaderMap, HeaderName},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    runtime,
};
use tokio_rustls::TlsAcceptor;

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Status, headers and body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Nothing, for ever.
    Hang,
    /// Half of a good answer, and then the end of the connection.
    Break,
    /// The end of the connection.
    Close,
    /// Bytes that are no HTTP, at the first byte of the request.
    Garbage,
}

impl Act {
    /// A status and a body.
    pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer(status, Vec::new(), body.into())
    }
}

/// A request that came.
#[derive(Debug)]
pub struct Seen {
    /// Path and query.
    pub path: String,
    pub headers: HeaderMap,
    /// The body, without its gzip.
    pub body: Vec<u8>,
}

impl Seen {
    /// The value of a header; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Acts = Arc<Mutex<dyn Iterator<Item = Act> + Send>>;

/// The server. It answers until the process ends.
pub struct Stub {
    pub address: SocketAddr,
    seen: mpsc::Receiver<Seen>,
}

impl Stub {
    /// One that acts once on each request, and takes all when `acts` are over.
    pub fn new(acts: impl IntoIterator<Item = Act, IntoIter: Send + 'static>) -> Self {
        Self::start(acts, None)
    }

    /// One that speaks TLS.
    pub fn tls(config: Arc<ServerConfig>) -> Self {
        Self::start([], Some(config.into()))
    }

    fn start(
        acts: impl IntoIterator<Item = Act, IntoIter: Send + 'static>,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let acts: Acts = Arc::new(Mutex::new(acts.into_iter()));
        let ((see, seen), (tell, address)) = (mpsc::channel(), mpsc::channel());
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (tls, acts, see) = (tls.clone(), Arc::clone(&acts), see.clone());
                    tokio::spawn(async move {
                        match tls {
                            None => serve(stream, acts, see).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    serve(stream, acts, see).await;
                                }
                            }
                        }
                    });
                }
            });
        });
        Self { address: address.recv().unwrap(), seen }
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request; waits for it.
    pub fn next(&self) -> Seen {
        self.seen.recv_timeout(Duration::from_secs(60)).unwrap()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    acts: Acts,
    see: mpsc::Sender<Seen>,
) {
    let next = || acts.lock().unwrap().next().unwrap_or(Act::answer(200, ""));
    // The first is decided on before the request is read: what it is may not matter.
    let first = next();
    if matches!(first, Act::Garbage) {
        let _ = stream.read_u8().await;
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
        // An end before all is read would be a reset, and what was written lost.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        return;
    }
    let first = Mutex::new(Some(first));
    let service = service_fn(|request: Request<Incoming>| {
        let (see, act) = (see.clone(), first.lock().unwrap().take().unwrap_or_else(next));
        async move {
            see_request(request, &see).await;
            match act {
                Act::Answer(status, headers, body) => Ok(response(status, headers, body)),
                Act::Hang => pending().await,
                Act::Break => Ok(Response::new(Script::of(vec![None, Some("half".into())]))),
                Act::Close | Act::Garbage => Err("closed"),
            }
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn see_request(request: Request<Incoming>, see: &mpsc::Sender<Seen>) {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return };
    let mut body = body.to_bytes().to_vec();
    if parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain).unwrap();
        body = plain;
    }
    let (path, headers) = (parts.uri.to_string(), parts.headers);
    // The test may be over.
    let _ = see.send(Seen { path, headers, body });
}

fn response(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Response<Script> {
    let mut response = Response::new(Script::of(vec![Some(body.into())]));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        let value = value.parse().unwrap();
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

/// A body: its pieces, the last first, and `None` where it breaks off.
struct Script {
    pieces: Vec<Option<Bytes>>,
    /// What came before the end is on its way.
    flushed: bool,
}

impl Script {
    fn of(pieces: Vec<Option<Bytes>>) -> Self {
        Self { pieces, flushed: false }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if matches!(self.pieces.as_slice(), [None]) && !self.flushed {
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = self.pieces.pop();
        Poll::Ready(piece.map(|piece| piece.map(Frame::data).ok_or("broken off")))
    }
}
