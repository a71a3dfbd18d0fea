//! Connections, with a bound on the time that one takes to come about.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::Uri;
use hyper_rustls::{
    FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream,
};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

use crate::net::{HttpUrl, TlsConfig, resolve::Resolver};

/// Longest time from the look-up of the name to the end of the TLS handshake.
const LONGEST: Duration = Duration::from_secs(10);

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    /// From the first byte on, also without TLS, as gRPC wants it.
    Http2,
}

/// Connects to one server.
#[derive(Clone)]
pub struct Connector(HttpsConnector<HttpConnector<Resolver>>);

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Connector {
    /// For the server at `url`.
    ///
    /// # Errors
    /// What is wrong with the TLS settings or their files.
    pub fn new(
        url: &HttpUrl,
        tls: &TlsConfig,
        version: Version,
        resolver: Resolver,
    ) -> Result<Self, String> {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        if !url.is_https() {
            // TLS is never begun, so that nobody has to be trusted.
            let builder =
                HttpsConnectorBuilder::new().with_tls_config(TlsConfig::trusting_nobody()?);
            return Ok(Self(builder.https_or_http().enable_http1().wrap_connector(tcp)));
        }
        let name = FixedServerNameResolver::new(tls.server_name(url.host())?);
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls.client()?).https_only();
        let builder = builder.with_server_name_resolver(name);
        Ok(Self(match version {
            Version::Http1 => builder.enable_http1().wrap_connector(tcp),
            Version::Http2 => builder.enable_http2().wrap_connector(tcp),
        }))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            timeout(LONGEST, connecting).await.unwrap_or_else(|_| {
                let text = format!("no connection within {} s", LONGEST.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, text).into())
            })
        })
    }
}
