//! What the path of a cgroup says. Pure: any text gives an identity, if an empty one.

use crate::enrich::subject::{Container, Identity, Pod, Qos, Runtime};

/// Length of a container id: 32 random bytes in hexadecimal, with containerd, CRI-O, docker, podman.
const ID_LEN: usize = 64;

/// Lengths of a pod's uid: a UUID, or for a static pod the MD5 of its configuration.
const UUID_LEN: usize = 36;
const MD5_LEN: usize = 32;

/// What the name of the cgroup begins with that watches over a container and is not in it.
const MONITORS: [&str; 2] = ["crio-conmon-", "libpod-conmon-"];

/// What a runtime writes before the id of a container, or calls the cgroup above it.
const RUNTIMES: [(&str, Runtime); 7] = [
    ("cri-containerd", Runtime::Containerd),
    ("containerd", Runtime::Containerd),
    ("nerdctl", Runtime::Containerd),
    ("k8s.io", Runtime::Containerd),
    ("crio", Runtime::CriO),
    ("docker", Runtime::Docker),
    ("libpod", Runtime::Podman),
];

/// Endings of the units that systemd makes cgroups for (systemd.unit(5)).
const UNITS: [&str; 5] = [".service", ".scope", ".slice", ".mount", ".socket"];

/// Reads a path from its root; what comes further down counts. It knows both of the kubelet's cgroup
/// drivers, systemd (`kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope`) and cgroupfs
/// (`kubepods/burstable/pod<uid>/<id>`), as in pkg/kubelet/cm/cgroup_manager_linux.go, and a kubelet
/// or a runtime that is in a container itself.
pub fn parse(path: &str) -> Identity {
    let mut found = Identity::default();
    // The container around the pod, when the whole kubelet is in one.
    let mut around = None;
    let (mut qos, mut above) = (None, "");
    // A runtime that was told the systemd driver's path and uses none: `<slice>:cri-containerd:<id>`.
    for word in path.split(['/', ':']).filter(|word| !word.is_empty()) {
        qos = class(word, above).or(qos);
        if let Some(uid) = pod_uid(word) {
            around = found.container.map(|container| container.id).or(around);
            let pod = Pod { uid, qos, ..Pod::default() };
            found = Identity { pod: Some(pod), container: None, unit: None };
        } else if let Some((id, runtime)) = container(word, above) {
            let nested_in = found.container.map(|container| container.id).or(around.take());
            let container = Container { id: id.to_owned(), name: None, runtime, nested_in };
            found = Identity { container: Some(container), unit: None, ..found };
        } else if says_more(word, found.unit.as_deref()) {
            found.unit = Some(word.to_owned());
        }
        above = word;
    }
    found
}

/// The class of the pods below, by a word with `kubepods` in it or right under one.
fn class(word: &str, above: &str) -> Option<Qos> {
    let of = |name: &str| match name {
        "burstable" => Some(Qos::Burstable),
        "besteffort" => Some(Qos::BestEffort),
        _ => None,
    };
    if above == "kubepods" {
        return of(word);
    }
    let mut parts = word.strip_suffix(".slice").unwrap_or(word).split('-');
    parts.find(|part| *part == "kubepods")?;
    Some(parts.next().and_then(of).unwrap_or(Qos::Guaranteed))
}

/// The uid in `pod<uid>` or `kubepods-burstable-pod<uid>.slice`; there its dashes are underscores,
/// as a dash in the name of a slice is a level.
fn pod_uid(word: &str) -> Option<String> {
    let stem = word.strip_suffix(".slice").unwrap_or(word);
    let uid = match stem.strip_prefix("pod") {
        Some(uid) => uid,
        None => stem.rsplit_once("-pod")?.1,
    };
    let uid = uid.replace('_', "-");
    is_uid(&uid).then_some(uid)
}

fn is_uid(uid: &str) -> bool {
    let shape = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => is_hex(byte),
    };
    match uid.len() {
        UUID_LEN => uid.bytes().enumerate().all(shape),
        MD5_LEN => uid.bytes().all(is_hex),
        _ => false,
    }
}

/// The id of the container that a word is the cgroup of, and its runtime where the word or the one
/// above tells.
fn container<'a>(word: &'a str, above: &str) -> Option<(&'a str, Option<Runtime>)> {
    let stem = word.strip_suffix(".scope").unwrap_or(word);
    // Of podman's pods themselves; units with a container's id for a name run beside it.
    let none_of_these = above == "libpod_parent" && !stem.starts_with("libpod-")
        || MONITORS.iter().any(|monitor| stem.starts_with(monitor))
        || UNITS.iter().any(|unit| stem.ends_with(unit));
    if none_of_these {
        return None;
    }
    let id = stem.rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
    let before = stem.strip_suffix(id)?;
    let name = if before.is_empty() { above } else { before.trim_end_matches('-') };
    let runtime = RUNTIMES.iter().find(|(prefix, _)| *prefix == name).map(|(_, runtime)| *runtime);
    (id.len() == ID_LEN && id.bytes().all(is_hex)).then_some((id, runtime))
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Whether a word is a unit that says more than the one found above it. A slice only groups units.
fn says_more(word: &str, found: Option<&str>) -> bool {
    let is_slice = |unit: &str| unit.ends_with(".slice");
    UNITS.iter().any(|unit| word.len() > unit.len() && word.ends_with(unit))
        && (!is_slice(word) || found.is_none_or(is_slice))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UID: &str = "1f3a9c52-7d4e-4b21-9a0c-5e6f7a8b9c0d";
    const UID_: &str = "1f3a9c52_7d4e_4b21_9a0c_5e6f7a8b9c0d";
    const STATIC: &str = "5d4c3b2a19080706f5e4d3c2b1a09f8e";
    const A: &str = "aaaa456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const B: &str = "bbbb456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// A path with the constants put in, and what it must say: uid and class of the pod, id and
    /// runtime of the container, the container around it, unit.
    type Case = (
        &'static str,
        Option<(&'static str, Option<Qos>)>,
        Option<(&'static str, Option<Runtime>)>,
        Option<&'static str>,
        Option<&'static str>,
    );

    const CONTAINERD: Option<Runtime> = Some(Runtime::Containerd);
    const DOCKER: Option<Runtime> = Some(Runtime::Docker);
    const PODMAN: Option<Runtime> = Some(Runtime::Podman);
    const BURSTABLE: Option<Qos> = Some(Qos::Burstable);

    #[rustfmt::skip]
    const CASES: &[Case] = &[
        // kubelet, systemd driver
        ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{A}.scope",
            Some((UID, BURSTABLE)), Some((A, CONTAINERD)), None, None),
        ("/kubepods.slice/kubepods-pod{UID_}.slice/crio-{A}.scope/container",
            Some((UID, Some(Qos::Guaranteed))), Some((A, Some(Runtime::CriO))), None, None),
        ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/docker-{A}.scope",
            Some((UID, Some(Qos::BestEffort))), Some((A, DOCKER)), None, None),
        ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice/cri-containerd-{A}.scope",
            Some((STATIC, BURSTABLE)), Some((A, CONTAINERD)), None, None),
        ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/crio-conmon-{A}.scope",
            Some((UID, BURSTABLE)), None, None, Some("crio-conmon-{A}.scope")),
        ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice",
            Some((UID, BURSTABLE)), None, None, None),
        ("/system.slice/containerd.service/kubepods-burstable-pod{UID_}.slice:cri-containerd:{A}",
            Some((UID, BURSTABLE)), Some((A, CONTAINERD)), None, None),
        ("/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{A}.scope/init.scope",
            Some((UID, Some(Qos::Guaranteed))), Some((A, CONTAINERD)), None, Some("init.scope")),
        // kubelet, cgroupfs driver
        ("/kubepods/burstable/pod{UID}/{A}", Some((UID, BURSTABLE)), Some((A, None)), None, None),
        ("/kubepods/besteffort/pod{UID}/{A}/sub",
            Some((UID, Some(Qos::BestEffort))), Some((A, None)), None, None),
        ("/kubepods/pod{UID}/{A}",
            Some((UID, Some(Qos::Guaranteed))), Some((A, None)), None, None),
        ("/kubepods/burstable/pod{UID}/crio-{A}",
            Some((UID, BURSTABLE)), Some((A, Some(Runtime::CriO))), None, None),
        ("/kubepods/burstable/pod{STATIC}", Some((STATIC, BURSTABLE)), None, None, None),
        ("/k8s.io/{A}", None, Some((A, CONTAINERD)), None, None),
        // without a kubelet
        ("/docker/{A}", None, Some((A, DOCKER)), None, None),
        ("/system.slice/docker-{A}.scope", None, Some((A, DOCKER)), None, None),
        ("/system.slice/nerdctl-{A}.scope", None, Some((A, CONTAINERD)), None, None),
        ("/machine.slice/libpod-{A}.scope/container", None, Some((A, PODMAN)), None, None),
        ("/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope",
            None, Some((A, PODMAN)), None, None),
        ("/libpod_parent/{B}/libpod-{A}", None, Some((A, PODMAN)), None, None),
        ("/machine.slice/libpod-conmon-{A}.scope", None, None, None, Some("libpod-conmon-{A}.scope")),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope",
            None, Some((A, PODMAN)), None, None),
        ("/ecs/0123456789abcdef0123456789abcdef/{A}", None, Some((A, None)), None, None),
        // a runtime in a container: kind, docker-in-docker
        ("/docker/{B}/kubelet/kubepods/burstable/pod{UID}/{A}",
            Some((UID, BURSTABLE)), Some((A, None)), Some(B), None),
        ("/system.slice/docker-{B}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{UID_}.slice/cri-containerd-{A}.scope",
            Some((UID, BURSTABLE)), Some((A, CONTAINERD)), Some(B), None),
        ("/system.slice/docker-{B}.scope/system.slice/kubelet.service",
            None, Some((B, DOCKER)), None, Some("kubelet.service")),
        ("/docker/{B}/docker/{A}", None, Some((A, DOCKER)), Some(B), None),
        ("/kubepods/pod{UID}/{B}/docker/{A}",
            Some((UID, Some(Qos::Guaranteed))), Some((A, DOCKER)), Some(B), None),
        // systemd
        ("/system.slice/kubelet.service", None, None, None, Some("kubelet.service")),
        ("/user.slice/user-1000.slice/session-3.scope", None, None, None, Some("session-3.scope")),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice", None, None, None, Some("user@1000.service")),
        ("/user.slice/user-1000.slice", None, None, None, Some("user-1000.slice")),
        ("/system.slice/system-getty.slice/getty@tty1.service", None, None, None, Some("getty@tty1.service")),
        // podman runs a container's health check in a unit with its id
        ("/system.slice/{A}.service", None, None, None, Some("{A}.service")),
        // nothing of that
        ("/", None, None, None, None),
        ("", None, None, None, None),
        ("/..", None, None, None, None),
        ("/.slice", None, None, None, None),
        ("/nodeprobe-1/pod/container", None, None, None, None),
        ("/kubepods/burstable/pod1234", None, None, None, None),
        ("/kubepods/burstable/podaaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeeg", None, None, None, None),
        ("/docker/{A}0", None, None, None, None),
        ("/cri-containerd-\u{fffd}\u{fffd}.scope/x\n", None, None, None, Some("cri-containerd-\u{fffd}\u{fffd}.scope")),
    ];

    fn filled(text: &str) -> String {
        let all = [("{UID}", UID), ("{UID_}", UID_), ("{STATIC}", STATIC), ("{A}", A), ("{B}", B)];
        all.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    #[test]
    fn reads_the_paths_of_every_runtime_and_driver() {
        for (path, pod, container, nested_in, unit) in CASES {
            let found = parse(&filled(path));
            let found_pod = found.pod.as_ref().map(|pod| (pod.uid.as_str(), pod.qos));
            assert_eq!(found_pod, *pod, "{path}");
            let inner = found.container.as_ref();
            assert_eq!(inner.map(|inner| (inner.id.as_str(), inner.runtime)), *container, "{path}");
            assert_eq!(inner.and_then(|inner| inner.nested_in.as_deref()), *nested_in, "{path}");
            assert_eq!(found.unit, unit.map(filled), "{path}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(bytes in any::<Vec<u8>>()) {
            let _ = parse(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn never_panics_on_what_looks_like_paths(
            path in "(/(kubepods|pod|burstable|docker|crio-|libpod-|é|-pod)?[0-9a-f_:-]{0,70}(\\.slice|\\.scope|\\.service)?){0,6}"
        ) {
            let found = parse(&path);
            prop_assert!(found.pod.is_none_or(|pod| is_uid(&pod.uid)));
            prop_assert!(found.container.is_none_or(|container| container.id.len() == ID_LEN));
        }
    }
}
