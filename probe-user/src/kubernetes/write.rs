//! What is written to the API server: patches of objects, and what its answers mean for a sink.

use hyper::{
    StatusCode,
    header::{self, HeaderMap, HeaderValue},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::api::client;
use crate::{
    config::kubernetes::{KubernetesConfig, Place},
    net::http::{Client, Post, Reply, judge as judge_http, judge::excerpt},
    sinks::backend::{Answer, Reason, Trouble},
};

/// Whom the API server has down for fields that we set.
pub const MANAGER: &str = "nodeprobe";

/// Longest answer that is read (bytes): a node with its images, in the worst case.
const LONGEST: usize = 2 * 1024 * 1024;

/// How a patch changes an object (apimachinery/pkg/types/patch.go).
#[derive(Clone, Copy, Debug)]
pub enum Patch {
    /// Makes the object what it says, and makes it when it is not there: the same twice is the same once.
    Apply,
    /// Goes through lists of parts by their keys.
    StrategicMerge,
}

impl Patch {
    fn content_type(self) -> &'static str {
        match self {
            Self::Apply => "application/apply-patch+yaml",
            Self::StrategicMerge => "application/strategic-merge-patch+json",
        }
    }
}

/// What the server answers with, where it is well.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// Metadata of the object, which is the least there is.
    Metadata,
    Object,
}

impl Wanted {
    fn accept(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Metadata => super::api::ONE,
            Self::Object => "application/json",
        })
    }
}

/// Writes objects.
pub struct Writer {
    client: Client,
    /// The node that all of it is about.
    pub node: String,
    /// What a role must allow for it, for who is not let.
    needs: &'static str,
}

impl Writer {
    /// One that is connected when it writes.
    ///
    /// # Errors
    /// What is wrong with the settings, or missing.
    pub fn new(config: &KubernetesConfig, needs: &'static str) -> Result<Self, String> {
        let place = config.place()?.ok_or(
            "there is no API server to tell: in a pod mount the service account's token, elsewhere let \
             api be its address",
        )?;
        let client = client(&place, LONGEST)?;
        let Place { node, .. } = place;
        Ok(Self { client, node, needs })
    }

    /// Patches the object at a path.
    ///
    /// # Errors
    /// What its answer means for what was to be told, or that there is none.
    pub async fn patch(
        &mut self,
        path: &str,
        patch: Patch,
        wanted: Wanted,
        body: &serde_json::Value,
    ) -> Result<Reply, Answer> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, wanted.accept())]);
        let (content_type, body) = (patch.content_type(), body.to_string().into_bytes());
        let reply = self.client.patch(path, Post { content_type, headers, body }).await;
        let reply = reply.map_err(|trouble| Answer::Later { trouble, after: None })?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        Err(judge(&reply, self.needs))
    }
}

/// A part of a path.
#[must_use]
pub fn part(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Why not (apimachinery/pkg/apis/meta/v1/types.go, `Status`).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    message: String,
}

impl Status {
    /// Whether it is for want of a right, and not because a namespace ends, is full, or somebody's webhook is
    /// against it: that is said of one object, and this of all (apiserver, `responsewriters.Forbidden`).
    fn is_of_rights(&self) -> bool {
        self.message.contains("User \"") && self.message.contains("\" cannot ")
    }
}

fn judge(reply: &Reply, needs: &str) -> Answer {
    let Reply { status, headers, body, .. } = reply;
    let said: Status = serde_json::from_slice(body).unwrap_or_default();
    let text = || format!("it answers {status}: {}", excerpt(said.message.as_bytes()));
    let later = |reason, todo: &str| Answer::Later {
        trouble: Trouble { reason, text: format!("{}{todo}", text()) },
        after: None,
    };
    match *status {
        _ if said.kind != "Status" => judge_http(*status, headers, body),
        StatusCode::UNAUTHORIZED => {
            later(Reason::Auth, "; is the token one of this cluster, and not expired?")
        }
        StatusCode::FORBIDDEN if said.is_of_rights() => {
            later(Reason::Auth, &format!("; let a ClusterRole allow it to {needs}"))
        }
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Answer::Refused(text()),
        StatusCode::CONFLICT => later(Reason::Busy, ""),
        _ => judge_http(*status, headers, said.message.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, message: &str) -> Answer {
        let body = serde_json::json!({"kind": "Status", "message": message}).to_string();
        let (headers, trailers) = (HeaderMap::new(), HeaderMap::new());
        let status = StatusCode::from_u16(status).unwrap();
        judge(&Reply { status, headers, body: body.into(), whole: true, trailers }, "patch events")
    }

    fn later(answer: &Answer) -> (Reason, &str) {
        match answer {
            Answer::Later { trouble, .. } => (trouble.reason, &trouble.text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_right_that_is_missing_is_named_and_waited_for() {
        let refused = answer(
            403,
            "events \"x\" is forbidden: User \"system:serviceaccount:a:b\" cannot patch resource \
             \"events\" in API group \"\" in the namespace \"shop\"",
        );
        let (reason, text) = later(&refused);
        assert_eq!(reason, Reason::Auth);
        assert!(text.contains("cannot patch resource \"events\""), "{text}");
        assert!(text.ends_with("let a ClusterRole allow it to patch events"), "{text}");
        assert_eq!(later(&answer(401, "Unauthorized")).0, Reason::Auth);
    }

    #[test]
    fn what_is_against_one_object_holds_up_no_other() {
        let ends = "events \"x\" is forbidden: unable to create new content in namespace shop \
                    because it is being terminated";
        let full = "events \"x\" is forbidden: exceeded quota: q, requested: count/events=1";
        for (status, message) in
            [(403, ends), (403, full), (404, "namespaces \"shop\" not found"), (422, "no")]
        {
            let Answer::Refused(why) = answer(status, message) else { panic!("{status}") };
            assert!(why.contains(message), "{why}");
        }
    }

    #[test]
    fn what_passes_is_tried_again() {
        for (status, reason) in [
            (409, Reason::Busy),
            (429, Reason::Busy),
            (500, Reason::Server),
            (503, Reason::Busy),
            (504, Reason::Server),
        ] {
            assert_eq!(later(&answer(status, "x")).0, reason, "{status}");
        }
        let (status, body) = (StatusCode::NOT_FOUND, "404 page not found".into());
        let (headers, trailers) = (HeaderMap::new(), HeaderMap::new());
        let other = judge(&Reply { status, headers, body, whole: true, trailers }, "");
        assert!(later(&other).1.contains("is the path of url right"), "it is no API server");
    }
}
