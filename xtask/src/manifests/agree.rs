//! What manifests say in more than one place: names, labels, ports, capabilities. Each place must say the same.

use serde_json::Value;

use super::kustomization::Kustomization;

/// What all of it is called: the namespace, the account, the agent's container and its file.
const NAME: &str = "nodeprobe";
const NAME_LABEL: &str = "app.kubernetes.io/name";
const VERSION_LABEL: &str = "app.kubernetes.io/version";
/// Kinds that are in no namespace.
const CLUSTER_WIDE: &[&str] =
    &["ClusterRole", "ClusterRoleBinding", "Namespace", "SecurityContextConstraints"];
/// Kinds of which components bring one each, so that they are called after them.
const RIGHTS: &[&str] = &["ClusterRole", "ClusterRoleBinding"];
/// Where a place for labels of pods is, by kind.
const SELECTORS: &[(&str, &str)] = &[
    ("DaemonSet", "/spec/selector/matchLabels"),
    ("NetworkPolicy", "/spec/podSelector/matchLabels"),
    ("PodMonitor", "/spec/selector/matchLabels"),
];
/// Where a port is named, by kind.
const PORTS: &[(&str, &str)] = &[
    ("NetworkPolicy", "/spec/ingress/0/ports/0/port"),
    ("PodMonitor", "/spec/podMetricsEndpoints/0/port"),
];
const PROBES: &[&str] = &["startupProbe", "livenessProbe", "readinessProbe"];

/// Says where they disagree. `version` is the agent's, `port` the one it listens on.
pub fn check(one: &Kustomization, version: &str, port: u64) -> Vec<String> {
    let mut all = Agreement { wrong: Vec::new() };
    for document in &one.documents {
        all.names(document, version);
    }
    let Some(daemon_set) = one.of_kind("DaemonSet") else {
        all.wrong.push("there is no DaemonSet".to_owned());
        return all.wrong;
    };
    all.pod(&daemon_set["spec"]["template"], version, port);
    for (kind, place) in SELECTORS {
        for document in one.documents.iter().filter(|document| document["kind"] == *kind) {
            let labels = at(document, place).as_object().cloned().unwrap_or_default();
            let template = &daemon_set["spec"]["template"]["metadata"]["labels"];
            let fits = labels.iter().all(|(key, value)| template[key] == *value);
            all.hold(fits && !labels.is_empty(), || {
                format!("{kind}{place} selects no pod of ours")
            });
        }
    }
    for (kind, place) in PORTS {
        for document in one.documents.iter().filter(|document| document["kind"] == *kind) {
            all.same(&format!("{kind}{place}"), at(document, place), "metrics");
        }
    }
    if let Some(constraints) = one.of_kind("SecurityContextConstraints") {
        let container = &daemon_set["spec"]["template"]["spec"]["containers"][0];
        let added = &container["securityContext"]["capabilities"]["add"];
        all.hold(constraints["allowedCapabilities"] == *added, || {
            "the SecurityContextConstraints allow other capabilities than are asked for".to_owned()
        });
        let account = format!("system:serviceaccount:{NAME}:{NAME}");
        all.same("SecurityContextConstraints.users", &constraints["users"][0], &account);
    }
    all.rights(one, daemon_set);
    all.wrong
}

/// What is wrong so far.
struct Agreement {
    wrong: Vec<String>,
}

impl Agreement {
    fn hold(&mut self, holds: bool, why: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(why());
        }
    }

    fn same(&mut self, place: &str, found: &Value, expected: &str) {
        self.hold(found == expected, || format!("{place} is {found} and not {expected:?}"));
    }

    fn names(&mut self, document: &Value, version: &str) {
        let kind = document["kind"].as_str().unwrap_or_default();
        let metadata = &document["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        let is_ours =
            name == NAME || (RIGHTS.contains(&kind) && name.starts_with(&format!("{NAME}-")));
        self.hold(is_ours, || format!("{kind}.metadata.name is {name:?} and not {NAME:?}"));
        self.labels(kind, metadata, version);
        if !CLUSTER_WIDE.contains(&kind) {
            self.same(&format!("{kind}.metadata.namespace"), &metadata["namespace"], NAME);
        }
    }

    fn labels(&mut self, kind: &str, metadata: &Value, version: &str) {
        let labels = &metadata["labels"];
        self.same(&format!("{kind}'s label {NAME_LABEL}"), &labels[NAME_LABEL], NAME);
        // What an overlay adds has none.
        if !labels[VERSION_LABEL].is_null() {
            self.same(&format!("{kind}'s label {VERSION_LABEL}"), &labels[VERSION_LABEL], version);
        }
    }

    /// Who binds a role binds one that is there, to the account that the pod has a token of.
    fn rights(&mut self, one: &Kustomization, daemon_set: &Value) {
        let of_kind = |kind: &str| {
            let of_kind = one.documents.iter().filter(move |document| document["kind"] == kind);
            of_kind.collect::<Vec<_>>()
        };
        let [roles, bindings] = [RIGHTS[0], RIGHTS[1]].map(of_kind);
        for binding in &bindings {
            for place in ["/subjects/0/name", "/subjects/0/namespace"] {
                self.same(&format!("ClusterRoleBinding{place}"), at(binding, place), NAME);
            }
            let token = &daemon_set["spec"]["template"]["spec"]["automountServiceAccountToken"];
            self.hold(*token == true, || "a role is bound and the pod has no token".to_owned());
        }
        let mut there: Vec<_> = roles.iter().map(|role| &role["metadata"]["name"]).collect();
        let mut bound: Vec<_> =
            bindings.iter().map(|binding| at(binding, "/roleRef/name")).collect();
        there.sort_by_key(|name| name.to_string());
        bound.sort_by_key(|name| name.to_string());
        self.hold(there == bound, || format!("roles {there:?} are there and {bound:?} are bound"));
    }

    fn pod(&mut self, template: &Value, version: &str, port: u64) {
        self.labels("the pod", &template["metadata"], version);
        let (spec, container) = (&template["spec"], &template["spec"]["containers"][0]);
        self.same("serviceAccountName", &spec["serviceAccountName"], NAME);
        self.same("the container's name", &container["name"], NAME);
        let image = container["image"].as_str().unwrap_or_default();
        self.hold(image.rsplit_once(':').is_some_and(|(_, tag)| tag == version), || {
            format!("the image is {image} and the agent's version {version}")
        });
        let exposed = &container["ports"][0];
        self.same("the port's name", &exposed["name"], "metrics");
        self.hold(exposed["containerPort"] == port, || {
            format!("the port is {} and the agent listens on {port}", exposed["containerPort"])
        });
        for probe in PROBES {
            self.same(probe, &container[probe]["httpGet"]["port"], "metrics");
        }
        let volumes = spec["volumes"].as_array().into_iter().flatten();
        let mut config = volumes.filter(|volume| !volume["configMap"].is_null());
        let map = config.next().map_or(&Value::Null, |volume| &volume["configMap"]["name"]);
        self.same("the ConfigMap of the volume", map, NAME);
        let unconfined = format!("container.apparmor.security.beta.kubernetes.io/{NAME}");
        let profile = &template["metadata"]["annotations"][&unconfined];
        self.same(&unconfined, profile, "unconfined");
    }
}

/// What is at a path; null where nothing is.
fn at<'a>(document: &'a Value, path: &str) -> &'a Value {
    document.pointer(path).unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sound() -> Kustomization {
        let labels = json!({NAME_LABEL: NAME, VERSION_LABEL: "1.0.0"});
        let metadata = json!({"name": NAME, "namespace": NAME, "labels": labels});
        let probe = json!({"httpGet": {"port": "metrics"}});
        let container = json!({
            "name": NAME, "image": "registry:5000/nodeprobe:1.0.0",
            "ports": [{"name": "metrics", "containerPort": 9477}],
            "startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe,
            "securityContext": {"capabilities": {"add": ["BPF"]}},
        });
        let annotations =
            json!({"container.apparmor.security.beta.kubernetes.io/nodeprobe": "unconfined"});
        let template = json!({
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": {
                "serviceAccountName": NAME, "automountServiceAccountToken": true, "containers": [container],
                "volumes": [{"configMap": {"name": NAME}}],
            },
        });
        let selector = json!({"matchLabels": {NAME_LABEL: NAME}});
        let spec = json!({"selector": selector, "template": template});
        let port = json!([{"ports": [{"port": "metrics"}]}]);
        let role = |name: &str| json!({"name": name, "labels": {NAME_LABEL: NAME}});
        let documents = vec![
            json!({"kind": "DaemonSet", "metadata": metadata, "spec": spec}),
            json!({"kind": "NetworkPolicy", "metadata": metadata,
                "spec": {"podSelector": selector, "ingress": port}}),
            json!({"kind": "SecurityContextConstraints", "metadata": metadata,
                "allowedCapabilities": ["BPF"], "users": ["system:serviceaccount:nodeprobe:nodeprobe"]}),
            json!({"kind": "ClusterRole", "metadata": role("nodeprobe-x")}),
            json!({"kind": "ClusterRoleBinding", "metadata": role("nodeprobe-x"),
                "roleRef": {"name": "nodeprobe-x"}, "subjects": [{"name": NAME, "namespace": NAME}]}),
        ];
        Kustomization { name: "x".to_owned(), text: String::new(), documents }
    }

    #[test]
    fn what_agrees_is_no_news() {
        assert_eq!(check(&sound(), "1.0.0", 9477), Vec::<String>::new());
    }

    #[test]
    fn each_disagreement_is_told() {
        let nothing = Kustomization { documents: Vec::new(), ..sound() };
        assert_eq!(check(&nothing, "1.0.0", 9477), ["there is no DaemonSet"]);
        assert_eq!(check(&sound(), "1.0.0", 1).len(), 1);
        assert_eq!(check(&sound(), "2.0.0", 9477).len(), 5, "four labels and a tag");
        for (document, place) in [
            (0, "/metadata/namespace"),
            (0, "/metadata/labels/app.kubernetes.io~1name"),
            (0, "/spec/selector/matchLabels/app.kubernetes.io~1name"),
            (0, "/spec/template/spec/containers/0/livenessProbe/httpGet/port"),
            (0, "/spec/template/spec/volumes/0/configMap/name"),
            (1, "/spec/podSelector/matchLabels"),
            (1, "/spec/ingress/0/ports/0/port"),
            (2, "/allowedCapabilities/0"),
            (2, "/users/0"),
            (3, "/metadata/labels/app.kubernetes.io~1name"),
            (4, "/metadata/name"),
            (4, "/roleRef/name"),
            (4, "/subjects/0/namespace"),
            (0, "/spec/template/spec/automountServiceAccountToken"),
        ] {
            let mut one = sound();
            *one.documents[document].pointer_mut(place).unwrap() = json!("other");
            assert_eq!(check(&one, "1.0.0", 9477).len(), 1, "{place}");
        }
    }
}
