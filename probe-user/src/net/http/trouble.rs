//! Why no answer came, in words that say what to do about it.

use std::{error::Error, io};

use hyper_util::client::legacy;
use rustls::{AlertDescription, CertificateError, Error as Tls};

use crate::{
    net::HttpUrl,
    sinks::backend::{Reason, Trouble},
};

/// Of a request to `url` that came to nothing.
#[must_use]
pub fn of_request(url: &HttpUrl, error: &legacy::Error) -> Trouble {
    let (reason, text) = cause(error, error.is_connect());
    Trouble { reason, text: format!("{url}: {text}") }
}

/// Of a connection to `address` that did not come about, or broke.
#[must_use]
pub fn of_connection(address: &str, error: &io::Error) -> Trouble {
    let (reason, text) = cause(error, true);
    Trouble { reason, text: format!("{address}: {text}") }
}

/// What is at the bottom of an error. `connecting`: there was no connection yet.
fn cause(error: &(dyn Error + 'static), connecting: bool) -> (Reason, String) {
    let causes = causes(error);
    if let Some(tls) = causes.iter().find_map(|cause| cause.downcast_ref::<Tls>()) {
        return (Reason::Tls, format!("{tls}{}", advice(tls)));
    }
    let deepest = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    let mut io = causes.iter().rev().filter_map(|cause| cause.downcast_ref::<io::Error>());
    match io.next() {
        Some(error) if error.kind() == io::ErrorKind::TimedOut => (Reason::Timeout, deepest),
        Some(_) => (Reason::Connect, deepest),
        None if connecting => (Reason::Connect, deepest),
        None => {
            let hyper = causes.iter().find_map(|cause| cause.downcast_ref::<hyper::Error>());
            match hyper {
                // It closed what it had left open for us, or died: the next try meets it anew.
                Some(error) if error.is_incomplete_message() || error.is_closed() => {
                    (Reason::Connect, deepest)
                }
                _ => (Reason::Protocol, deepest),
            }
        }
    }
}

/// An error and what is behind it, the outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    // More is no chain of causes but a ring.
    const DEEPEST: usize = 16;
    let mut all: Vec<&'a (dyn Error + 'static)> = vec![error];
    while let Some(last) = all.last().copied()
        && all.len() < DEEPEST
    {
        // What an io::Error wraps is none of its sources: it speaks for it.
        let wrapped = last.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let Some(next) = wrapped.map(|inner| inner as &(dyn Error + 'static)).or(last.source())
        else {
            break;
        };
        all.push(next);
    }
    all
}

fn advice(error: &Tls) -> &'static str {
    match error {
        // The second is what a CA is refused for that was made anew under its old name.
        Tls::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "; give the certificate of who signed it as tls.ca_file",
        Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "; set tls.server_name to a name that it has",
        Tls::AlertReceived(AlertDescription::CertificateRequired) => {
            "; it asks who we are: set tls.cert_file and tls.key_file"
        }
        Tls::InvalidMessage(_) => "; does it speak TLS at this port?",
        _ => "",
    }
}
