//! What files of the node hold. Containers name processes, cgroups and files as they like.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::LazyLock,
};

use crate::{
    config,
    enrich::{
        cgroup::{pids_mount, process_path},
        identity::{Identities, path},
        misses::Misses,
        node,
        process::{cmdline, proc},
    },
    source::{
        poll::fds::{kinds, process as fd_process},
        seed::{netlink, tc::namespaces},
    },
    symbols::maps,
};

/// Any text, as the agent reads most files: what is not UTF-8 is replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn config(bytes: &[u8]) {
    if let Err(error) = config::load::parse("fuzz.toml", &text(bytes)) {
        let message = error.to_string();
        assert!(message.starts_with("fuzz.toml:") && !message.contains('\n'), "{message}");
    }
}

pub fn proc(bytes: &[u8]) {
    let text = text(bytes);
    let _ = proc::stat_in(bytes);
    let _ = cmdline::shown(bytes);
    let _ = fd_process::stat_in(bytes);
    let _ = fd_process::soft_limit_in(bytes);
    let _ = namespaces::mount_point(bytes);
    let _ = netlink::row(&text);
    let _ = kinds::kind_of(&text);
    let _ = maps::mapping_in(&text).map(|mapping| mapping.name().len());
    let _ = pids_mount(&text);
    let third = text.len() / 3;
    let cut = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let _ = node::parse(cut(0, third), cut(third, 2 * third), cut(2 * third, text.len()));
    for v1 in [false, true] {
        let path = process_path(bytes, v1);
        assert!(path.is_none_or(|path| !path.contains(&b'\n')));
    }
}

pub fn cgroup_path(bytes: &[u8]) {
    let text = text(bytes);
    let identity = path::parse(&text);
    // What it found is in the path, as it is or with its dashes back.
    let plain = text.replace('_', "-");
    let uid = identity.pod.map(|pod| pod.uid).unwrap_or_default();
    assert!(plain.contains(&uid), "{uid}");
    let container = identity.container.map(|container| container.id).unwrap_or_default();
    assert!(text.contains(&container), "{container}");
}

/// A container's id, and the files that its runtime may keep of it.
const ID: &str = "aaaa456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const FILES: [&str; 4] = [
    "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
    "run/containers/storage/overlay-containers/ID/userdata/config.json",
    "var/lib/docker/containers/ID/config.v2.json",
    "var/lib/containers/storage/overlay-containers/containers.json",
];
const PATHS: [&str; 4] =
    ["/cri-containerd-ID.scope", "/crio-ID.scope", "/docker/ID", "/machine.slice/libpod-ID.scope"];

/// A node's root, in memory where that is possible; gone when the machine is.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let shm = Path::new("/dev/shm");
    let parent = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    let root = parent.join(format!("nodeprobe-fuzz-{}", process::id()));
    for file in FILES {
        if let Some(parent) = root.join(file.replace("ID", ID)).parent() {
            let _ = fs::create_dir_all(parent);
        }
    }
    root
});

pub fn identity_files(bytes: &[u8]) {
    let (runtime, content) = bytes.split_first().unwrap_or((&0, &[]));
    let runtime = usize::from(*runtime) % FILES.len();
    let (Some(file), Some(path)) = (FILES.get(runtime), PATHS.get(runtime)) else { return };
    let file = ROOT.join(file.replace("ID", ID));
    if fs::write(&file, content).is_ok() {
        let path = path.replace("ID", ID);
        let _ = Identities::new(&ROOT).of_path(&path, &mut Misses::default());
        let _ = fs::remove_file(file);
    }
}
