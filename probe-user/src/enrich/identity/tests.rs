use proptest::prelude::*;

use super::*;
use crate::enrich::{subject::Runtime, testing::Tree};

const UID: &str = "1f3a9c52-7d4e-4b21-9a0c-5e6f7a8b9c0d";
const ID: &str = "aaaa456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn path() -> String {
    format!("/kubepods/burstable/pod{UID}/{ID}")
}

/// Pod (namespace, name), container and runtime of a path, and the misses.
fn looked_up(node: &Tree, path: &str) -> (String, Option<String>, Option<Runtime>, [u64; 2]) {
    let mut misses = Misses::default();
    let identity = Identities::new(node.root()).of_path(path, &mut misses);
    let pod = identity.pod.map(|pod| pod.label()).unwrap_or_default();
    let container = identity.container.unwrap_or_default();
    let misses = [Lookup::Pod, Lookup::Container].map(|lookup| misses.of(lookup));
    (pod, container.name, container.runtime, misses)
}

#[test]
fn names_come_from_every_runtime() {
    let labels = format!(
        r#"{{"io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop",
            "io.kubernetes.pod.uid":"{UID}","io.kubernetes.container.name":"app","other":"x"}}"#
    );
    let cri = format!(
        r#"{{"ociVersion":"1.1.0","process":{{"args":["sleep"]}},"annotations":{{
            "io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"app",
            "io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop",
            "io.kubernetes.cri.sandbox-uid":"{UID}"}}}}"#
    );
    for (file, content, runtime) in [
        (
            format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"),
            cri.clone(),
            Runtime::Containerd,
        ),
        (
            format!("run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"),
            cri,
            Runtime::Containerd,
        ),
        (
            format!("run/containers/storage/overlay-containers/{ID}/userdata/config.json"),
            format!(r#"{{"annotations":{labels}}}"#),
            Runtime::CriO,
        ),
        (
            format!("var/lib/docker/containers/{ID}/config.v2.json"),
            format!(r#"{{"Name":"/k8s_app_web-0","Config":{{"Image":"x","Labels":{labels}}}}}"#),
            Runtime::Docker,
        ),
    ] {
        let node = Tree::new("runtime");
        node.file(&file, content);
        let expected = ("pod shop/web-0".into(), Some("app".into()), Some(runtime), [0, 0]);
        assert_eq!(looked_up(&node, &path()), expected, "{file}");
    }
}

#[test]
fn containers_without_a_pod_have_a_name_too() {
    let node = Tree::new("alone");
    node.file(
        &format!("var/lib/docker/containers/{ID}/config.v2.json"),
        r#"{"Name":"/web","Config":{"Labels":{}}}"#,
    );
    node.file(
        "var/lib/containers/storage/overlay-containers/containers.json",
        format!(r#"[{{"id":"b"}},{{"id":"{ID}","names":["db"]}}]"#),
    );
    let found = looked_up(&node, &format!("/docker/{ID}"));
    assert_eq!(found, (String::new(), Some("web".into()), Some(Runtime::Docker), [0, 0]));
    let found = looked_up(&node, &format!("/machine.slice/libpod-{ID}.scope"));
    assert_eq!(found, (String::new(), Some("db".into()), Some(Runtime::Podman), [0, 0]));
}

#[test]
fn the_kubelets_directories_do_without_a_runtime() {
    let node = Tree::new("kubelet");
    node.directory(&format!("var/log/pods/shop_web-0_{UID}/app"));
    node.directory("var/log/pods/shop_web-1_99");
    node.file(&format!("var/log/containers/web-0_shop_app-{ID}.log"), "");
    let expected = ("pod shop/web-0".into(), Some("app".into()), None, [0, 0]);
    assert_eq!(looked_up(&node, &path()), expected);
}

#[test]
fn what_is_not_there_is_a_counted_miss() {
    let node = Tree::new("empty");
    let nameless = (format!("pod {UID}"), None, None, [1, 1]);
    assert_eq!(looked_up(&node, &path()), nameless);
    assert_eq!(looked_up(&node, "/system.slice/ssh.service").3, [0, 0]);
    // Files that are no such thing.
    let bundle = format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
    let giant = format!(r#"{{"annotations":{{}},"x":"{}"}}"#, "x".repeat(1024 * 1024));
    for content in ["", "{", "[]", r#"{"annotations":7}"#, "\u{0}", &giant] {
        node.file(&bundle, content);
        assert_eq!(looked_up(&node, &path()), nameless, "{}", content.len());
    }
    for entry in [format!("_{UID}"), format!("__{UID}"), format!("a_b_c_{UID}")] {
        node.directory(&format!("var/log/pods/{entry}"));
        assert_eq!(looked_up(&node, &path()), nameless, "{entry}");
        node.remove("var/log/pods");
    }
}

#[test]
fn the_state_of_another_pod_names_nobody() {
    let node = Tree::new("other");
    node.file(
        &format!("run/containers/storage/overlay-containers/{ID}/userdata/config.json"),
        r#"{"annotations":{"io.kubernetes.pod.uid":"another","io.kubernetes.pod.name":"x"}}"#,
    );
    assert_eq!(looked_up(&node, &path()).0, format!("pod {UID}"));
}

#[test]
fn names_outlive_the_pod_and_late_ones_are_found() {
    let node = Tree::new("late");
    let (mut identities, mut misses) = (Identities::new(node.root()), Misses::default());
    let name = |identity: Identity| identity.pod.and_then(|pod| pod.name);
    assert_eq!(name(identities.of_path(&path(), &mut misses)), None);
    node.directory(&format!("var/log/pods/shop_web-0_{UID}"));
    assert_eq!(name(identities.of_path(&path(), &mut misses)), None, "looked up once");
    assert_eq!(name(identities.of_path_again(&path(), &mut misses)).as_deref(), Some("web-0"));
    node.remove("var");
    assert_eq!(name(identities.of_path_again(&path(), &mut misses)).as_deref(), Some("web-0"));
}

#[test]
fn a_hundred_thousand_cgroups_are_bounded() {
    let node = Tree::new("many");
    let (mut identities, mut misses) = (Identities::new(node.root()), Misses::default());
    (0..100_000).for_each(|n| drop(identities.of_path(&format!("/job-{n}"), &mut misses)));
    assert_eq!(identities.known.len(), REMEMBERED.get());
}

proptest! {
    #[test]
    fn never_panics_on_any_state(content in any::<Vec<u8>>(), entry in "[^/\0]{1,40}") {
        let node = Tree::new("any");
        node.file(&format!("var/lib/docker/containers/{ID}/config.v2.json"), content);
        node.directory(&format!("var/log/pods/{entry}_{UID}"));
        let _ = looked_up(&node, &path());
    }
}
