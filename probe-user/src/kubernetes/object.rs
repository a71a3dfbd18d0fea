//! The little that is read of the API server's objects: their metadata
//! (apimachinery/pkg/apis/meta/v1/types.go). What is not known is skipped.

use serde::Deserialize;

use super::pods::Known;
use crate::enrich::subject::Workload;

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct List {
    #[serde(default)]
    pub metadata: ListMeta,
    #[serde(default)]
    pub items: Vec<Object>,
}

/// Where a list is, and how it goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ListMeta {
    pub resource_version: String,
    pub r#continue: String,
}

/// A line of a watch.
#[derive(Debug, Deserialize)]
pub struct Change {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub object: Object,
}

/// Any object; a `Status` too, which has a code.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Object {
    pub metadata: Meta,
    pub code: u16,
    pub message: String,
}

/// `ObjectMeta`, as far as it is needed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Meta {
    name: String,
    namespace: String,
    uid: String,
    pub resource_version: String,
    labels: Labels,
    annotations: Annotations,
    owner_references: Vec<OwnerReference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Labels {
    /// What the Deployment's controller puts between its name and that of the pod.
    #[serde(rename = "pod-template-hash")]
    template: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Annotations {
    /// The kubelet's id of a static pod, whose mirror has another uid (ConfigHashAnnotationKey in
    /// pkg/kubelet/types/pod_update.go).
    #[serde(rename = "kubernetes.io/config.hash")]
    hash: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OwnerReference {
    kind: String,
    name: String,
    controller: bool,
}

impl Meta {
    /// The uid that the kubelet has for it.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.annotations.hash.as_deref().unwrap_or(&self.uid)
    }

    /// What is said of the pod whose this is.
    #[must_use]
    pub fn known(&self) -> Known {
        let owner = self.owner();
        Known { namespace: self.namespace.clone(), name: self.name.clone(), owner }
    }

    /// What controls it. A ReplicaSet that a Deployment made is named by that: its name is the
    /// Deployment's and the hash of the template.
    #[must_use]
    pub fn owner(&self) -> Option<Workload> {
        let owner = self.owner_references.iter().find(|owner| owner.controller)?;
        let deployment = match (owner.kind.as_str(), &self.labels.template) {
            ("ReplicaSet", Some(hash)) => {
                owner.name.strip_suffix(hash.as_str()).and_then(|name| name.strip_suffix('-'))
            }
            _ => None,
        };
        Some(match deployment {
            Some(name) => Workload { kind: "Deployment".into(), name: name.into() },
            None => Workload { kind: owner.kind.clone(), name: owner.name.clone() },
        })
    }

    /// Whether it is one that can be told of.
    #[must_use]
    pub fn is_named(&self) -> bool {
        !(self.uid().is_empty() || self.name.is_empty() || self.namespace.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn owner(kind: &str, name: &str, hash: Option<&str>) -> Option<Workload> {
        let meta: Meta = serde_json::from_value(json!({
            "name": "p", "namespace": "n", "uid": "u", "labels": {"pod-template-hash": hash, "a": "b"},
            "ownerReferences": [
                {"kind": "Other", "name": "x"},
                {"kind": kind, "name": name, "controller": true, "uid": "u"},
            ],
        }))
        .unwrap();
        meta.owner()
    }

    #[test]
    fn the_workload_is_the_one_a_user_knows() {
        let told = |kind: &str, name: &str| {
            Some(Workload { kind: kind.to_owned(), name: name.to_owned() })
        };
        let hash = Some("5d4f8c7b9");
        assert_eq!(owner("ReplicaSet", "web-5d4f8c7b9", hash), told("Deployment", "web"));
        assert_eq!(owner("ReplicaSet", "web-1", hash), told("ReplicaSet", "web-1"));
        assert_eq!(owner("ReplicaSet", "web-5d4f8c7b9", None), told("ReplicaSet", "web-5d4f8c7b9"));
        assert_eq!(owner("DaemonSet", "calico-node", None), told("DaemonSet", "calico-node"));
    }

    #[test]
    fn a_static_pod_goes_by_its_hash_and_an_orphan_has_no_owner() {
        let meta: Meta = serde_json::from_value(json!({
            "name": "etcd-n1", "namespace": "kube-system", "uid": "api",
            "annotations": {"kubernetes.io/config.hash": "kubelet", "other": "x"},
        }))
        .unwrap();
        assert_eq!((meta.uid(), meta.owner(), meta.is_named()), ("kubelet", None, true));
        assert!(!Meta::default().is_named());
    }

    #[test]
    fn a_status_has_a_code_and_garbage_is_an_error() {
        let change: Change = serde_json::from_str(
            r#"{"type":"ERROR","object":{"kind":"Status","metadata":{},"code":410,"message":"too old"}}"#,
        )
        .unwrap();
        assert_eq!((change.kind.as_str(), change.object.code), ("ERROR", 410));
        for garbage in
            ["", "[]", "{}", r#"{"type":1}"#, r#"{"type":"ADDED","object":{"metadata":[1]}}"#]
        {
            assert!(serde_json::from_str::<Change>(garbage).is_err(), "{garbage}");
        }
    }
}
