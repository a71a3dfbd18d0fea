//! A server that keeps all in its memory.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Answers, AnySide, Real, Scheme, Side, url};
use crate::{
    elasticsearch,
    support::{http, server::Server},
};

/// OpenSearch's API.
pub fn elasticsearch() -> AnySide {
    let server = elasticsearch::server()?;
    let (kind, ids) = ("elasticsearch", documents as fn(&Server) -> _);
    Ok(Box::new(Kept {
        real: Real {
            address: server.site().address(0),
            server,
            kind,
            settings: url,
            ids,
            answers: Answers::Http,
        },
    }))
}

/// All documents by their ids. They have no order of their own: it is that of the ids, so that a
/// finding's revisions are in theirs.
fn documents(server: &Server) -> Result<Vec<String>> {
    const PAGE: usize = 10_000;
    let mut ids = Vec::new();
    loop {
        let mut query = json!({ "size": PAGE, "sort": ["_id"], "_source": false });
        if let Some(last) = ids.last() {
            query["search_after"] = json!([last]);
        }
        let answer = http::post(server.port(), "/logs-*/_search", &query.to_string())?;
        let answer = answer.json()?;
        let hits = answer["hits"]["hits"].as_array().context("no hits")?;
        let id = |hit: &Value| Ok(hit["_id"].as_str().context("no _id")?.to_owned());
        ids.extend(hits.iter().map(id).collect::<Result<Vec<String>>>()?);
        if hits.len() < PAGE {
            return Ok(ids);
        }
    }
}

/// A server that keeps all in its memory: away means that nothing comes through to it.
struct Kept {
    real: Real,
}

impl Side for Kept {
    fn sink(&self, scheme: Scheme, address: &str) -> (&'static str, String) {
        self.real.sink(scheme, address)
    }

    fn address(&self) -> String {
        self.real.address()
    }

    fn came(&self, expected: &[String]) -> Result<()> {
        self.real.came(expected)
    }

    fn up(&mut self) -> Result<()> {
        self.real.server.signal(rustix::process::Signal::CONT)
    }

    fn down(&mut self) -> Result<()> {
        self.real.server.signal(rustix::process::Signal::STOP)
    }

    fn answers(&self) -> Answers {
        Answers::Http
    }
}
