//! Names from the directories where the kubelet keeps logs, whatever the runtime.

use std::{fs, path::Path};

use super::super::subject::Identity;
use crate::scarce;

/// Entries of a directory that are looked at; a node has some hundred pods.
const MOST: usize = 8_192;

/// Fills in the names that an identity has not yet.
pub fn name(root: &Path, identity: &mut Identity) {
    let Identity { pod, container, .. } = identity;
    if let Some(pod) = pod.as_mut().filter(|pod| pod.name.is_none()) {
        // <namespace>_<name>_<uid>, BuildPodLogsDirectory in pkg/kubelet/kuberuntime/helpers.go.
        let end = format!("_{}", pod.uid);
        if let Some([namespace, name]) = find(&root.join("var/log/pods"), &end) {
            (pod.namespace, pod.name) = (Some(namespace), Some(name));
        }
    }
    if let Some(container) = container.as_mut().filter(|container| container.name.is_none()) {
        // <pod>_<namespace>_<container>-<id>.log, logSymlink in the same package.
        let end = format!("-{}.log", container.id);
        if let Some([_, _, name]) = find(&root.join("var/log/containers"), &end) {
            container.name = Some(name);
        }
    }
}

/// The words, parted by underscores, before the ending of the one entry that has it. No name in
/// Kubernetes has an underscore (RFC 1123).
fn find<const N: usize>(directory: &Path, end: &str) -> Option<[String; N]> {
    let entries = scarce::noted(fs::read_dir(directory)).ok()?.take(MOST).filter_map(Result::ok);
    let name = entries.map(|entry| entry.file_name()).find_map(|name| {
        let name = name.to_str()?.strip_suffix(end)?;
        Some(name.split('_').map(str::to_owned).collect::<Vec<_>>())
    })?;
    name.try_into().ok().filter(|words: &[String; N]| words.iter().all(|word| !word.is_empty()))
}
