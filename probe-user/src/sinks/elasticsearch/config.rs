//! `[sinks.NAME.elasticsearch]`

use serde::{Deserialize, Serialize};

use super::ElasticsearchBackend;
use crate::{
    net::{
        AuthConfig, Headers, HttpUrl, TlsConfig,
        http::{Client, Settings, Version},
    },
    sinks::{Backend, Kind, Policy, kinds::Site},
};

/// Longest answer that is read (bytes): it tells of each record of a batch.
const ANSWER: usize = 4 * 1024 * 1024;

/// What is wanted of the answer.
const FILTER: &str = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason";

/// Documents, by the bulk API of Elasticsearch or OpenSearch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ElasticsearchConfig {
    /// The server, with what it has of a path before the API's own.
    pub url: HttpUrl,
    /// The data stream, or index, that documents are created in.
    #[serde(default)]
    pub data_stream: DataStream,
    /// Whether requests are compressed.
    #[serde(default)]
    pub gzip: bool,
    #[serde(default)]
    pub headers: Headers,
    #[serde(default)]
    pub auth: AuthConfig,
    #[serde(default)]
    pub tls: TlsConfig,
}

impl Kind for ElasticsearchConfig {
    const POLICY: Policy = Policy::NETWORK;

    fn open(&self, site: &Site) -> Result<Box<dyn Backend>, String> {
        let Self { url, data_stream: DataStream(stream), gzip, headers, auth, tls } = self;
        let url = &url.below(&format!("/{stream}/_bulk?{FILTER}"));
        let (gzip, version) = (*gzip, Version::Http1);
        let settings = Settings { url, auth, tls, headers, gzip, version, answer: ANSWER };
        Ok(Box::new(ElasticsearchBackend {
            client: Client::new(&settings)?,
            node: site.node.clone(),
        }))
    }
}

/// Name of a data stream: type, dataset and namespace, as its templates go by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataStream(String);

impl Default for DataStream {
    fn default() -> Self {
        Self("logs-nodeprobe-default".into())
    }
}

impl TryFrom<String> for DataStream {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        // A part of what the servers allow, which is also a part of a path as it is.
        let good =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        let begins = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let right =
            name.len() <= 255 && name.bytes().next().is_some_and(begins) && name.bytes().all(good);
        let wrong = || {
            format!(
                "{name:?} is no name of a data stream: a-z, 0-9, -, _ and . such as \"logs-nodeprobe-default\""
            )
        };
        if right { Ok(Self(name)) } else { Err(wrong()) }
    }
}

impl From<DataStream> for String {
    fn from(name: DataStream) -> Self {
        name.0
    }
}
