//! Names from the files that container runtimes keep for each container.

use std::path::Path;

use serde::{Deserialize, de::DeserializeOwned};

use super::super::{
    read,
    subject::{Container, Identity, Pod, Runtime},
};

/// Longest file that is read (bytes). An OCI configuration has some ten thousand.
const LONGEST: usize = 1024 * 1024;

/// Where containerd's shims keep the bundles of the kubelet's containers: its own default, k3s and
/// RKE2, k0s, MicroK8s.
const BUNDLES: [&str; 4] = [
    "run/containerd",
    "run/k3s/containerd",
    "run/k0s/containerd",
    "var/snap/microk8s/common/run/containerd",
];

/// Where CRI-O and podman keep the state of containers (containers-storage.conf(5)).
const STORAGE: [&str; 2] = ["run/containers/storage", "var/lib/containers/storage"];

/// What every runtime calls the container that only holds a pod's namespaces.
const SANDBOX: &str = "POD";

/// What a runtime knows of a container.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    pod: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    container: Option<String>,
}

/// Fills in the names of an identity with a container. What another pod's uid stands by is left out.
pub fn name(root: &Path, identity: &mut Identity) {
    let Some(container) = &mut identity.container else { return };
    let Some((names, runtime)) = find(root, container) else { return };
    let uid = identity.pod.as_ref().map(|pod| &pod.uid);
    if uid.is_some() && names.uid.is_some() && uid != names.uid.as_ref() {
        return;
    }
    container.runtime = Some(runtime);
    container.name = names.container;
    let pod = &mut identity.pod;
    if let Some(uid) = names.uid {
        let pod = pod.get_or_insert_with(|| Pod { uid, ..Pod::default() });
        (pod.name, pod.namespace) = (names.pod, names.namespace);
    }
}

/// Asks the runtime that the path names, else each.
fn find(root: &Path, container: &Container) -> Option<(Names, Runtime)> {
    type Source = fn(&Path, &str) -> Option<Names>;
    let sources: [(Runtime, Source); 4] = [
        (Runtime::Containerd, containerd),
        (Runtime::CriO, crio),
        (Runtime::Docker, docker),
        (Runtime::Podman, podman),
    ];
    sources
        .into_iter()
        .filter(|(runtime, _)| container.runtime.is_none_or(|known| known == *runtime))
        .find_map(|(runtime, source)| Some((source(root, &container.id)?, runtime)))
}

fn json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&read::whole(path, LONGEST).ok()?).ok()
}

/// The part of an OCI runtime configuration (config.json of the runtime-spec) that is of use.
#[derive(Deserialize)]
struct Spec<A> {
    annotations: A,
}

/// Annotations of containerd's CRI plugin, pkg/cri/annotations/annotations.go.
#[derive(Deserialize)]
struct CriAnnotations {
    #[serde(rename = "io.kubernetes.cri.sandbox-name")]
    pod: Option<String>,
    #[serde(rename = "io.kubernetes.cri.sandbox-namespace")]
    namespace: Option<String>,
    #[serde(rename = "io.kubernetes.cri.sandbox-uid")]
    uid: Option<String>,
    #[serde(rename = "io.kubernetes.cri.container-name")]
    container: Option<String>,
    #[serde(rename = "io.kubernetes.cri.container-type")]
    kind: Option<String>,
}

/// Labels that the kubelet gives each container, pkg/kubelet/types/labels.go. CRI-O keeps them as
/// annotations too.
#[derive(Deserialize)]
struct KubeletLabels {
    #[serde(rename = "io.kubernetes.pod.name")]
    pod: Option<String>,
    #[serde(rename = "io.kubernetes.pod.namespace")]
    namespace: Option<String>,
    #[serde(rename = "io.kubernetes.pod.uid")]
    uid: Option<String>,
    #[serde(rename = "io.kubernetes.container.name")]
    container: Option<String>,
}

impl From<KubeletLabels> for Names {
    fn from(labels: KubeletLabels) -> Self {
        let KubeletLabels { pod, namespace, uid, container } = labels;
        Self { pod, namespace, uid, container }
    }
}

fn containerd(root: &Path, id: &str) -> Option<Names> {
    let spec = BUNDLES.iter().find_map(|state| {
        let bundle = root.join(state).join("io.containerd.runtime.v2.task/k8s.io").join(id);
        json::<Spec<CriAnnotations>>(&bundle.join("config.json"))
    });
    let CriAnnotations { pod, namespace, uid, container, kind } = spec?.annotations;
    let sandbox = kind.is_some_and(|kind| kind == "sandbox").then(|| SANDBOX.to_owned());
    Some(Names { pod, namespace, uid, container: container.or(sandbox) })
}

fn crio(root: &Path, id: &str) -> Option<Names> {
    let spec = STORAGE.iter().find_map(|storage| {
        let state = root.join(storage).join("overlay-containers").join(id).join("userdata");
        json::<Spec<KubeletLabels>>(&state.join("config.json"))
    });
    let names = Names::from(spec?.annotations);
    // podman has its state in the same place.
    names.uid.is_some().then_some(names)
}

/// The part of docker's own state of a container that is of use.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerState {
    name: Option<String>,
    config: DockerConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerConfig {
    labels: Option<KubeletLabels>,
}

fn docker(root: &Path, id: &str) -> Option<Names> {
    let state = root.join("var/lib/docker/containers").join(id).join("config.v2.json");
    let DockerState { name, config } = json(&state)?;
    let mut names = config.labels.map(Names::from).unwrap_or_default();
    let own = name.map(|name| name.trim_start_matches('/').to_owned());
    names.container = names.container.or(own);
    Some(names)
}

/// A row of the list of containers that podman's storage keeps.
#[derive(Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

fn podman(root: &Path, id: &str) -> Option<Names> {
    let list = root.join("var/lib/containers/storage/overlay-containers/containers.json");
    let stored = json::<Vec<Stored>>(&list)?.into_iter().find(|stored| stored.id == id)?;
    Some(Names { container: stored.names.into_iter().next(), ..Names::default() })
}
