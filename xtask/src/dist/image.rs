//! The container image: the agent and the authorities that its TLS trusts, nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{source::Source, unit::Unit};
use crate::{paths, run, setup};

/// Programs that build and start it, and their packages.
const TOOLS: &[(&str, &str)] = &[("buildah", "buildah"), ("runc", "runc")];
/// The system's authorities.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const CONTAINERFILE: &str = "deploy/image/Containerfile";
/// Most that the archive may have (bytes).
const MOST: u64 = 15 << 20;

/// A built image, in a store that goes with this value.
pub struct Image {
    store: TempDir,
    name: String,
}

impl Image {
    /// Builds it; installs what that takes.
    pub fn build(agent: &Path, source: &Source) -> Result<Self> {
        let tools = TOOLS.iter().filter(|(program, _)| paths::program(program).is_none());
        let mut missing: Vec<_> = tools.map(|(_, package)| *package).collect();
        if !Path::new(AUTHORITIES).exists() {
            missing.push("ca-certificates");
        }
        setup::install(&missing)?;
        let store = tempfile::tempdir().context("cannot make a directory")?;
        let image = Self { store, name: format!("localhost/nodeprobe:{}", source.version) };
        let context = image.store.path().join("context");
        fs::create_dir(&context)?;
        fs::copy(agent, context.join("nodeprobe"))?;
        fs::copy(AUTHORITIES, context.join("ca-certificates.crt"))?;
        let mut build = image.buildah()?;
        // A build in a chroot needs no user namespace, and there is nothing to run in it.
        build.args(["build", "--isolation=chroot", "--tag", &image.name]);
        build.arg(format!("--timestamp={}", source.time));
        build.arg(format!("--build-arg=VERSION={}", source.version));
        build.arg(format!("--build-arg=REVISION={}", source.revision));
        build.arg("--file").arg(paths::root().join(CONTAINERFILE)).arg(&context);
        run::step("building the image", &mut build)?;
        Ok(image)
    }

    /// Writes it as an archive of OCI.
    ///
    /// # Errors
    /// When it is larger than an image of this may be, besides those of writing.
    pub fn save(&self, to: &Path) -> Result<()> {
        let mut push = self.buildah()?;
        let tag = self.name.trim_start_matches("localhost/");
        push.args(["push", &self.name]).arg(format!("oci-archive:{}:{tag}", to.display()));
        run::step("writing the image", &mut push)?;
        let bytes = fs::metadata(to)?.len();
        ensure!(bytes < MOST, "the image has {bytes} bytes, more than {MOST}");
        println!("the image: {} KiB", bytes.div_ceil(1024));
        Ok(())
    }

    /// Runs the agent in a container that sees the node, with what its unit allows it, and returns its exit code
    /// and all it prints on standard output.
    pub fn run(&self, unit: &Unit, args: &[&str]) -> Result<(Option<i32>, String)> {
        let container =
            run::step("making a container", self.buildah()?.args(["from", &self.name]))?;
        let mut mount = self.buildah()?;
        let root = run::step("mounting the image", mount.args(["mount", container.trim()]))?;
        let bundle = self.store.path().join("bundle");
        fs::create_dir_all(&bundle)?;
        let config = config(root.trim(), unit, args)?;
        fs::write(bundle.join("config.json"), serde_json::to_vec_pretty(&config)?)?;
        let mut runc = run::as_root("runc").context("root is needed: install sudo")?;
        runc.arg("--root").arg(self.store.path().join("runc")).args(["run", "--bundle"]);
        runc.arg(&bundle).arg(format!("nodeprobe-{}", process::id()));
        let output = runc.stdin(Stdio::null()).output().context("cannot run runc")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        if said.is_empty() {
            bail!("nodeprobe {args:?} says nothing in the image: {complaint}");
        }
        Ok((output.status.code(), said))
    }

    fn buildah(&self) -> Result<Command> {
        let mut buildah = run::as_root("buildah").context("root is needed: install sudo")?;
        let dir = |name| self.store.path().join(name);
        // Without overlayfs, as in a container.
        buildah.args(["--storage-driver", "vfs"]);
        buildah.args([PathBuf::from("--root"), dir("images"), "--runroot".into(), dir("run")]);
        Ok(buildah)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // What buildah made belongs to root, whoever this is.
        if let Some(mut remove) = run::as_root("rm") {
            let _ = remove.args(["--recursive", "--force"]).arg(self.store.path()).status();
        }
    }
}

/// What runc starts: see config.md of the OCI runtime specification.
fn config(root: &str, unit: &Unit, args: &[&str]) -> Result<Value> {
    let capabilities = unit.capabilities();
    let args: Vec<_> = ["/usr/bin/nodeprobe"].iter().chain(args).collect();
    // The node's own, which the agent is there to see.
    let shown = ["/proc", "/sys"].map(|path| {
        json!({ "destination": path, "source": path, "type": "bind", "options": ["rbind", "ro"] })
    });
    Ok(json!({
        "ociVersion": "1.0.2",
        "root": { "path": root, "readonly": true },
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "cwd": "/",
            "args": args,
            "env": [],
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
        },
        "mounts": shown,
        "linux": {
            "namespaces": [{ "type": "mount" }],
            "seccomp": {
                "defaultAction": "SCMP_ACT_ERRNO",
                "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{ "names": unit.calls()?, "action": "SCMP_ACT_ALLOW" }],
            },
        },
    }))
}
