//! What sinks that speak to a network share: names, TLS, credentials and an HTTP client.
//!
//! Nothing here starts a thread once a sink is open: a node that is out of tasks is what it has to tell of.

pub mod auth;
pub mod headers;
pub mod http;
pub mod local;
pub mod resolve;
pub mod secret;
#[cfg(test)]
pub mod testing;
pub mod tls;
pub mod unread;
pub mod url;
pub mod watched;

pub use auth::AuthConfig;
pub use headers::Headers;
pub use secret::Secret;
pub use tls::TlsConfig;
pub use url::HttpUrl;
