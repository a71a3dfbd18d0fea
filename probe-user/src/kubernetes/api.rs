//! What is asked of the API server: metadata and nothing else, and pods of this node only.

use hyper::{Response, StatusCode, body::Incoming};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::{
    lines::{self, Lines},
    object::{List, Object},
};
use crate::{
    config::kubernetes::Place,
    net::{
        Headers,
        http::{ANSWER, Client, Settings, Version},
    },
    sinks::backend::{Reason, Trouble},
};

/// Objects without spec and status (apimachinery/pkg/apis/meta/v1, `PartialObjectMetadata`): a tenth of the
/// bytes, and no secrets of environments.
const LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
pub(super) const ONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Pods on a page: a few KiB each, most of them bookkeeping of who set which field.
const PAGE: usize = 50;
/// Longest page that is read (bytes).
const LONGEST: usize = 2 * 1024 * 1024;
/// How long the server keeps a watch open (s).
pub const WATCH_SECONDS: u64 = 290;

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// The server has forgotten that version of the list (410): it must be read anew.
    Gone,
    Trouble(Trouble),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// An API server, and the node whose pods it is asked for.
pub struct Api {
    client: Client,
    selector: String,
}

impl Api {
    /// One that is asked when it is asked.
    ///
    /// # Errors
    /// What is wrong with the settings, and in which file.
    pub fn new(place: &Place) -> Result<Self, String> {
        let client = client(place, ANSWER)?;
        let node = utf8_percent_encode(&place.node, NON_ALPHANUMERIC);
        Ok(Self { client, selector: format!("fieldSelector=spec.nodeName%3D{node}") })
    }

    /// The server's address.
    #[must_use]
    pub fn url(&self) -> String {
        self.client.url().to_string()
    }

    /// A page of the list of pods; `from` is where the last one ended.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn page(&mut self, from: &str) -> Result<List, Failure> {
        let from = utf8_percent_encode(from, NON_ALPHANUMERIC);
        let selector = &self.selector;
        self.read(&format!("/api/v1/pods?{selector}&limit={PAGE}&continue={from}"), LIST).await
    }

    /// Changes of the list since one of its versions, as they come.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn watch(&mut self, since: &str) -> Result<Lines, Failure> {
        let since = utf8_percent_encode(since, NON_ALPHANUMERIC);
        let selector = &self.selector;
        let path = format!(
            "/api/v1/pods?{selector}&watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}\
             &resourceVersion={since}"
        );
        Ok(Lines::of(self.get(&path, ONE).await?))
    }

    /// A Job: its owner may be a CronJob.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn job(&mut self, namespace: &str, name: &str) -> Result<Object, Failure> {
        let part = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (namespace, name) = (part(namespace), part(name));
        self.read(&format!("/apis/batch/v1/namespaces/{namespace}/jobs/{name}"), ONE).await
    }

    async fn read<T: DeserializeOwned>(
        &mut self,
        path: &str,
        accept: &'static str,
    ) -> Result<T, Failure> {
        let body = lines::whole(self.get(path, accept).await?, LONGEST).await?;
        serde_json::from_slice(&body).map_err(|error| no_protocol(&error.to_string()).into())
    }

    async fn get(&mut self, path: &str, accept: &'static str) -> Result<Incoming, Failure> {
        let answer = self.client.get(path, accept).await?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer.into_body());
        }
        Err(refused(status, answer).await)
    }
}

/// A client of an API server, which reads so much of an answer (bytes).
///
/// # Errors
/// What is wrong with the settings, and in which file.
pub fn client(place: &Place, answer: usize) -> Result<Client, String> {
    let Place { url, auth, tls, .. } = place;
    let headers = &Headers::default();
    Client::new(&Settings { url, auth, tls, headers, gzip: false, version: Version::Http1, answer })
}

/// An answer that is none.
pub fn no_protocol(why: &str) -> Trouble {
    let text = format!("its answer is none of a Kubernetes API server: {why}");
    Trouble { reason: Reason::Protocol, text }
}

async fn refused(status: StatusCode, answer: Response<Incoming>) -> Failure {
    let body = lines::whole(answer.into_body(), ANSWER).await.unwrap_or_default();
    let said = serde_json::from_slice::<Object>(&body).map(|status| status.message);
    let said = said.unwrap_or_default();
    let (reason, todo) = match status {
        StatusCode::GONE => return Failure::Gone,
        StatusCode::UNAUTHORIZED => (Reason::Auth, "; is the token one of this cluster?"),
        StatusCode::FORBIDDEN => {
            (Reason::Auth, "; let it get, list and watch pods and get jobs, by a ClusterRole")
        }
        StatusCode::TOO_MANY_REQUESTS => (Reason::Busy, ""),
        status if status.is_server_error() => (Reason::Server, ""),
        _ => (Reason::Protocol, ""),
    };
    let colon = if said.is_empty() { "" } else { ": " };
    Failure::Trouble(Trouble { reason, text: format!("it answers {status}{colon}{said}{todo}") })
}
