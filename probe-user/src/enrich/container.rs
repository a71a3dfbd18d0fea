//! The container a cgroup belongs to, from its path.

/// Length of a container id: 32 random bytes in hexadecimal, with containerd, CRI-O, docker, podman.
const ID_LEN: usize = 64;

/// The id in the innermost part of the path that has one, whatever stands around it:
/// `/kubepods/pod…/<id>`, `cri-containerd-<id>.scope`, `docker-<id>.scope`, `crio-<id>`.
#[must_use]
pub fn id(path: &str) -> Option<&str> {
    path.rsplit('/').find_map(|part| {
        let words = part.split(|c: char| !c.is_ascii_alphanumeric());
        words.into_iter().find(|word| is_id(word))
    })
}

fn is_id(word: &str) -> bool {
    word.len() == ID_LEN && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_ids_of_every_runtime() {
        let hex = "0123456789abcdef".repeat(4);
        for path in [
            format!("/kubepods/besteffort/pod7d9c/{hex}"),
            format!("/kubepods.slice/kubepods-pod7d9c.slice/cri-containerd-{hex}.scope"),
            format!("/system.slice/docker-{hex}.scope"),
            format!("/kubepods.slice/crio-{hex}.scope/container"),
            format!("/machine.slice/libpod-{hex}.scope"),
        ] {
            assert_eq!(id(&path), Some(hex.as_str()), "{path}");
        }
        for path in ["/", "", "/system.slice/ssh.service", &format!("/x/{hex}0"), &hex[1..]] {
            assert_eq!(id(path), None, "{path}");
        }
    }
}
