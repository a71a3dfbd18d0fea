//! An HTTP client for sinks: one server, one request at a time, bounded answers.

use std::{io::Write, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{self, HeaderMap, HeaderValue},
};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    AuthConfig, Headers, HttpUrl, TlsConfig, auth::Auth, resolve::Resolver, watched::Stamp,
};
use crate::sinks::backend::{Answer, Reason, Trouble};

mod connect;
pub mod judge;
pub mod trouble;

use connect::Connector;
pub use connect::Version;
pub use judge::judge;

/// Longest answer that is read, unless a sink needs more of it (bytes).
pub const ANSWER: usize = 64 * 1024;
/// Shorter bodies do not become shorter by gzip (bytes).
const WORTH_GZIP: usize = 512;
/// How long a connection is kept that nothing is sent on; servers and what is in between close them too.
const IDLE: Duration = Duration::from_secs(30);
/// A connection of HTTP/2 is asked this often whether it is alive, and given as long to say so.
const ALIVE: Duration = Duration::from_secs(20);

/// `nodeprobe/VERSION`.
const USER_AGENT: &str = concat!("nodeprobe/", env!("CARGO_PKG_VERSION"));

/// All about a server and how it is spoken to.
pub struct Settings<'a> {
    pub url: &'a HttpUrl,
    pub auth: &'a AuthConfig,
    pub tls: &'a TlsConfig,
    pub headers: &'a Headers,
    /// Whether bodies are compressed.
    pub gzip: bool,
    pub version: Version,
    /// Longest answer that is read (bytes), usually [`ANSWER`].
    pub answer: usize,
}

/// What is to be sent.
pub struct Post {
    pub content_type: &'static str,
    /// Headers of this request only.
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether that is all of the body: the rest of what is too long is not read.
    pub whole: bool,
    /// What came behind the body (gRPC).
    pub trailers: HeaderMap,
}

impl Reply {
    /// What it means, for servers that take all or nothing.
    #[must_use]
    pub fn judge(&self) -> Answer {
        judge(self.status, &self.headers, &self.body)
    }
}

type Inner = legacy::Client<Connector, Full<Bytes>>;

/// A client of one server.
pub struct Client {
    inner: Inner,
    url: HttpUrl,
    auth: Auth,
    tls: TlsConfig,
    /// Which states of the files of `tls` it was made of.
    stamps: [Option<Stamp>; 3],
    headers: HeaderMap,
    gzip: bool,
    version: Version,
    answer: usize,
    resolver: Resolver,
}

impl Client {
    /// A client of the server at `settings.url`. It connects when something is sent.
    ///
    /// # Errors
    /// What is wrong with the settings, and in which file.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let Settings { url, auth, tls, headers, gzip, version, answer } = *settings;
        if !url.is_https() && !tls.is_default() {
            return Err("tls is set but url begins with http://; let it begin with https://".into());
        }
        if !url.is_https() && *auth != AuthConfig::None && !url.is_local() {
            log::warn!("{url}: credentials go over the network for all to read; use https://");
        }
        let resolver = Resolver::for_host(url.host())?;
        let stamps = tls.stamps();
        let mut all = headers.map().clone();
        all.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        if gzip {
            all.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(Self {
            inner: inner(Connector::new(url, tls, version, resolver.clone())?, version),
            url: url.clone(),
            auth: Auth::open(auth)?,
            tls: tls.clone(),
            stamps,
            headers: all,
            gzip,
            version,
            answer,
            resolver,
        })
    }

    /// The server's address.
    #[must_use]
    pub fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// Sends something and judges the answer, for servers that take all or nothing.
    pub async fn deliver(&mut self, post: Post) -> Answer {
        match self.post(post).await {
            Ok(reply) => reply.judge(),
            Err(trouble) => Answer::Later { trouble, after: None },
        }
    }

    /// Sends something.
    ///
    /// # Errors
    /// Why there is no answer, or none that is whole.
    pub async fn post(&mut self, post: Post) -> Result<Reply, Trouble> {
        let uri = self.url.uri().clone();
        self.send(Method::POST, uri, post).await
    }

    /// Changes what is at `path` below the server's address (RFC 5789).
    ///
    /// # Errors
    /// Why there is no answer, or none that is whole.
    pub async fn patch(&mut self, path: &str, patch: Post) -> Result<Reply, Trouble> {
        let uri = self.url.below(path).uri().clone();
        self.send(Method::PATCH, uri, patch).await
    }

    async fn send(&mut self, method: Method, uri: Uri, post: Post) -> Result<Reply, Trouble> {
        self.renew();
        let request = self.request(method, uri, post)?;
        let answer = self.inner.request(request).await;
        let answer = answer.map_err(|error| trouble::of_request(&self.url, &error))?;
        self.read(answer).await
    }

    /// Asks for what is at `path` below the server's address. The body is left to whoever asks.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn get(
        &mut self,
        path: &str,
        accept: &'static str,
    ) -> Result<Response<Incoming>, Trouble> {
        self.renew();
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.url.below(path).uri().clone();
        let mut headers = self.headers.clone();
        headers.remove(header::CONTENT_ENCODING);
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        self.authorize(&mut headers)?;
        *request.headers_mut() = headers;
        let answer = self.inner.request(request).await;
        answer.map_err(|error| trouble::of_request(&self.url, &error))
    }

    fn authorize(&mut self, headers: &mut HeaderMap) -> Result<(), Trouble> {
        let wrong = |text| Trouble { reason: Reason::Auth, text };
        if let Some(value) = self.auth.header().map_err(wrong)? {
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(())
    }

    /// Connects anew from now on when certificates or keys were replaced.
    fn renew(&mut self) {
        let now = self.tls.stamps();
        if now == self.stamps {
            return;
        }
        self.stamps = now;
        match Connector::new(&self.url, &self.tls, self.version, self.resolver.clone()) {
            Ok(connector) => self.inner = inner(connector, self.version),
            // Whoever replaces them may be in the middle of it; then they change once more.
            Err(why) => log::warn!("{why}; what was there before is used on"),
        }
    }

    fn request(
        &mut self,
        method: Method,
        uri: Uri,
        post: Post,
    ) -> Result<Request<Full<Bytes>>, Trouble> {
        let Post { content_type, headers, body } = post;
        let mut all = self.headers.clone();
        all.extend(headers);
        all.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.authorize(&mut all)?;
        let body = match self.gzip && body.len() >= WORTH_GZIP {
            true => gzip(&body).map_err(|error| Trouble {
                reason: Reason::Other,
                text: format!("gzip: {error}"),
            })?,
            false => {
                all.remove(header::CONTENT_ENCODING);
                body
            }
        };
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = all;
        Ok(request)
    }

    /// Reads the body, as far as that is allowed.
    async fn read(&self, answer: Response<Incoming>) -> Result<Reply, Trouble> {
        let (parts, mut incoming) = answer.into_parts();
        let (mut body, mut trailers, mut whole) = (Vec::new(), HeaderMap::new(), true);
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| Trouble {
                reason: Reason::Protocol,
                text: format!("{}: its answer ({}) breaks off: {error}", self.url, parts.status),
            })?;
            match frame.into_data() {
                Ok(data) => {
                    let room = self.answer - body.len();
                    whole = data.len() <= room;
                    body.extend_from_slice(data.get(..room).unwrap_or(&data));
                    if !whole {
                        break;
                    }
                }
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        let (status, headers) = (parts.status, parts.headers);
        Ok(Reply { status, headers, body: body.into(), whole, trailers })
    }
}

fn inner(connector: Connector, version: Version) -> Inner {
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1)
        .http1_max_buf_size(64 * 1024)
        .http2_only(version == Version::Http2)
        .http2_keep_alive_interval(ALIVE)
        .http2_keep_alive_timeout(ALIVE)
        .build(connector)
}

/// Compresses what is sent.
///
/// # Errors
/// None that is known of.
pub fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests;
