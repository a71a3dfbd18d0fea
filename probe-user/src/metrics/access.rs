//! Who may read metrics, and how: TLS and a bearer token, where they are configured.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::{HeaderMap, header::AUTHORIZATION};
use rustls::ServerConfig;
use subtle::ConstantTimeEq;

use crate::{
    config::metrics::MetricsConfig,
    net::{tls::server::Identity, watched::Watched},
};

/// What protects the endpoint.
#[derive(Default)]
pub struct Access {
    identity: Option<Identity>,
    token: Option<Mutex<Watched>>,
}

impl Access {
    /// As configured. All files are read now, so that a mistake is told at the start.
    ///
    /// # Errors
    /// The file, and what is wrong with it.
    pub fn of(config: &MetricsConfig) -> Result<Self, String> {
        let identity = match (&config.tls_cert, &config.tls_key) {
            (Some(cert), Some(key)) => Some(Identity::open(cert.clone(), key.clone())?),
            _ => None,
        };
        let token = config.token_file.as_deref().map(Watched::open).transpose()?;
        Ok(Self { identity, token: token.map(Mutex::new) })
    }

    /// The scheme of its address.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.identity.is_some() { "https" } else { "http" }
    }

    /// What the next connection speaks TLS with, if it has to.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.identity.as_ref().map(Identity::config)
    }

    /// Whether a request may read metrics. How long it takes does not depend on how much of a wrong
    /// token is right.
    #[must_use]
    pub fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let sent = headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        let sent = match sent.split_at_checked(SCHEME.len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => token,
            _ => return false,
        };
        let mut token = token.lock().unwrap_or_else(PoisonError::into_inner);
        sent.ct_eq(token.line().reveal().as_bytes()).into()
    }
}

/// RFC 6750, section 2.1; schemes are case-insensitive (RFC 9110, section 11.1).
const SCHEME: &[u8] = b"bearer ";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_the_token_of_the_moment_lets_in() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "secret\n").unwrap();
        let token_file = Some(file.path().to_path_buf());
        let access = Access::of(&MetricsConfig { token_file, ..Default::default() }).unwrap();
        let lets_in = |sent: &str| {
            access.lets_in(&HeaderMap::from_iter([(AUTHORIZATION, sent.parse().unwrap())]))
        };
        assert!(lets_in("Bearer secret") && lets_in("bearer secret"));
        for wrong in ["", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Basic secret"] {
            assert!(!lets_in(wrong), "{wrong}");
        }
        assert!(!access.lets_in(&HeaderMap::new()));
        fs::write(file.path(), "another\n").unwrap();
        assert!(lets_in("Bearer another") && !lets_in("Bearer secret"));
    }

    #[test]
    fn a_file_that_is_not_there_is_told_at_the_start() {
        let token_file = Some("/nowhere/token".into());
        let wrong = Access::of(&MetricsConfig { token_file, ..Default::default() });
        assert!(wrong.err().unwrap().starts_with("/nowhere/token: "));
        assert!(Access::of(&MetricsConfig::default()).unwrap().lets_in(&HeaderMap::new()));
    }
}
