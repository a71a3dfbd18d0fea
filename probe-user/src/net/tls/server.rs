//! TLS as a server: who we are.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{ServerConfig, crypto::ring};

use super::{Stamp, certificates, private_key};

/// A certificate and its key, read again when one of the files is another one.
pub struct Identity {
    cert: PathBuf,
    key: PathBuf,
    state: Mutex<State>,
}

/// Which state the two files are in.
type Stamps = [Option<Stamp>; 2];

struct State {
    stamps: Stamps,
    /// A state that could not be used, and was told of.
    told: Option<Stamps>,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// The file, and what is wrong with it.
    pub fn open(cert: PathBuf, key: PathBuf) -> Result<Self, String> {
        let (stamps, config) = (stamps(&cert, &key), read(&cert, &key)?);
        let state = State { stamps, told: None, config };
        Ok(Self { cert, key, state: Mutex::new(state) })
    }

    /// What a server needs now. Where the files cannot be read, or do not go together yet, as before.
    pub fn config(&self) -> Arc<ServerConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.cert, &self.key);
        if now != state.stamps {
            match read(&self.cert, &self.key) {
                Ok(config) => (state.stamps, state.config) = (now, config),
                Err(why) if state.told != Some(now) => {
                    log::warn!("{why}; the certificate of before is used on");
                    state.told = Some(now);
                }
                Err(_) => {}
            }
        }
        Arc::clone(&state.config)
    }
}

fn stamps(cert: &Path, key: &Path) -> Stamps {
    [cert, key].map(Stamp::of)
}

fn read(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let (own, secret) = (certificates(cert)?, private_key(key)?);
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(own, secret)
        .map_err(|error| {
            format!("{} and {} do not go together: {error}", cert.display(), key.display())
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
