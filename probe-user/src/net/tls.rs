//! TLS as a client: whom to trust, and who we are; and as a [`server`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde::{Deserialize, Serialize};

use super::watched::{Stamp, text};

pub mod server;

/// `tls`: keys of whatever connects by TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub struct TlsConfig {
    /// Certificates (PEM) of those who may sign the server's; the system's where there are none.
    ca: Option<PathBuf>,
    /// Our own certificates (PEM, the one that names us first), and their key.
    own: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate must have, where that is not the host of its address.
    name: Option<ServerName<'static>>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
}

impl TryFrom<Keys> for TlsConfig {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        let Keys { ca_file, cert_file, key_file, server_name } = keys;
        let own = match (cert_file, key_file) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => return Err("cert_file needs a key_file beside it".into()),
            (None, Some(_)) => return Err("key_file needs a cert_file beside it".into()),
        };
        let name = server_name.as_deref().map(server_name_of).transpose();
        Ok(Self { ca: ca_file, own, name: name.map_err(|why| format!("server_name: {why}"))? })
    }
}

impl From<TlsConfig> for Keys {
    fn from(config: TlsConfig) -> Self {
        let TlsConfig { ca, own, name } = config;
        let (cert_file, key_file) = own.unzip();
        let server_name = name.map(|name| name.to_str().into_owned());
        Self { ca_file: ca, cert_file, key_file, server_name }
    }
}

fn server_name_of(text: &str) -> Result<ServerName<'static>, String> {
    let name = ServerName::try_from(text.to_owned());
    name.map_err(|_| format!("{text:?} is neither a DNS name nor an IP address"))
}

impl TlsConfig {
    /// Trust in those alone whose certificates a file (PEM) has.
    #[must_use]
    pub fn trusting(ca: PathBuf) -> Self {
        Self { ca: Some(ca), ..Self::default() }
    }

    /// Whether anything is configured.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The name that the certificate of a server at `host` must have.
    ///
    /// # Errors
    /// When `host` can be the name of none.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, String> {
        self.name.clone().map_or_else(|| server_name_of(host), Ok)
    }

    /// What a client needs, read from the files as they are now. For `hyper-rustls` as well as for
    /// `tokio-rustls`.
    ///
    /// # Errors
    /// The file, and what is wrong with it.
    pub fn client(&self) -> Result<ClientConfig, String> {
        let builder = builder()?.with_root_certificates(self.roots()?);
        let Some((cert, key)) = &self.own else { return Ok(builder.with_no_client_auth()) };
        let (own, secret) = (certificates(cert)?, private_key(key)?);
        builder.with_client_auth_cert(own, secret).map_err(|error| {
            format!("{} and {} do not go together: {error}", cert.display(), key.display())
        })
    }

    /// For a client that never gets as far as TLS.
    ///
    /// # Errors
    /// None that is known of.
    pub fn trusting_nobody() -> Result<ClientConfig, String> {
        Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                for certificate in certificates(path)? {
                    let added = roots.add(certificate);
                    added.map_err(|error| format!("{}: {error}", path.display()))?;
                }
            }
            None => {
                // The system's may have one that nobody can read; the others are good.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(
                        "this system has no CA certificates (a container from scratch has \
                                none); give the server's as tls.ca_file"
                            .into(),
                    );
                }
            }
        }
        Ok(roots)
    }

    /// Which state its files are in: another one means that it is time for another client.
    #[must_use]
    pub fn stamps(&self) -> [Option<Stamp>; 3] {
        let own = self.own.as_ref();
        let files = [self.ca.as_ref(), own.map(|(cert, _)| cert), own.map(|(_, key)| key)];
        files.map(|file| file.and_then(|file| Stamp::of(file)))
    }
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let (_, text) = text(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!(
            "{}: it holds no certificate; PEM has a line -----BEGIN CERTIFICATE-----",
            path.display()
        )),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let (_, text) = text(path)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| {
        let path = path.display();
        format!("{path}: {error}; a key in PEM has a line -----BEGIN PRIVATE KEY-----")
    })
}

#[cfg(test)]
mod tests;
