//! Kubernetes's own API server, the etcd behind it and kubectl, for what the agent asks of a cluster. The
//! server is built from the source package of Debian with Debian's Go, once.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{apt::Apt, cache, go::Go, run};

/// What of Debian they are from, and built with.
const SUITE: &str = "bookworm";
const GO: &str = "1.19";
const SOURCE: &str = "kubernetes";
/// The upstream version that this suite has.
pub const VERSION: &str = "1.20.2";
/// Import path of the source, and of the program in it.
const IMPORT: &str = "k8s.io/kubernetes";
const PROGRAM: &str = "./cmd/kube-apiserver";
/// Says which version it is; without it the server takes itself for none.
const VARIABLES: &str = "k8s.io/component-base/version";
/// A library in the source that reads maps by how Go 1.17 laid them out, which ends the server at custom
/// resources, and Debian's package of a later one.
const REPLACED: &str = "vendor/github.com/modern-go/reflect2";
const REPLACEMENT: &str = "golang-github-modern-go-reflect2-dev";
/// In a comment of a package whose types are described.
const TAG: &[u8] = b"+k8s:openapi-gen=";
/// Generators and examples, which have the tag for themselves.
const NOT_DESCRIBED: &[&str] = &[
    "vendor/k8s.io/code-generator",
    "vendor/k8s.io/gengo",
    "vendor/k8s.io/kube-openapi",
    "vendor/k8s.io/sample-",
];
/// Packages of which one program without libraries is needed each.
const PROGRAMS: [(&str, &str); 2] = [("etcd-server", "etcd"), ("kubernetes-client", "kubectl")];

/// Has all of them, unless they are there.
pub fn get() -> Result<()> {
    let recipe = format!("{SUITE} {GO} {SOURCE} {VERSION} {REPLACEMENT}");
    cache::entry("servers/kubernetes-api", &recipe, make)
        .context("cannot build Kubernetes's API server")?;
    cache::entry("servers/kubernetes", &format!("{SUITE} {PROGRAMS:?}"), unpack)
        .context("cannot install etcd and kubectl")?;
    Ok(())
}

fn make(into: &Path) -> Result<()> {
    let scratch = into.join(".go");
    let apt = Apt::open(&scratch, SUITE)?;
    let go = Go::fetch(&apt, &scratch, GO, &[REPLACEMENT])?;
    let source = go.source(IMPORT);
    fs::create_dir_all(&source)?;
    let files = apt.source(SOURCE)?;
    let is_upstream = |file: &&PathBuf| file.to_string_lossy().contains(".orig.tar.");
    let upstream = files.iter().find(is_upstream).context("the source package has no source")?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(upstream);
    tar.args(["--strip-components=1", "--directory"]).arg(&source);
    run::step("unpacking the source", &mut tar)?;
    let replaced = source.join(REPLACED);
    fs::remove_dir_all(&replaced)
        .with_context(|| format!("the source has no {}", replaced.display()))?;
    describe_types(&go, &source, &scratch)?;
    let values = [("gitMajor", "1"), ("gitMinor", "20"), ("gitVersion", &format!("v{VERSION}"))];
    let values =
        values.map(|(name, value)| format!("-X {IMPORT}/vendor/{VARIABLES}.{name}={value}"));
    let flags = format!("-ldflags=-s -w {}", values.join(" "));
    go.build(&source, PROGRAM, &[&flags], &into.join("kube-apiserver"))?;
    go.remove()
}

/// Makes what Kubernetes's own Makefile makes before it builds, of what the source package lacks: the
/// description of all types (build/root/Makefile.generated_files, `gen_openapi`).
fn describe_types(go: &Go, source: &Path, scratch: &Path) -> Result<()> {
    let generator = scratch.join("openapi-gen");
    go.build(source, "./vendor/k8s.io/kube-openapi/cmd/openapi-gen", &[], &generator)?;
    let mut packages = BTreeSet::new();
    for part in ["pkg", "cmd", "vendor/k8s.io"] {
        described(source, Path::new(part), &mut packages)?;
    }
    let packages: Vec<String> = packages.into_iter().collect();
    let mut command = go.command(&generator, source);
    command.args(["--logtostderr", "--input-dirs", &packages.join(",")]);
    command.args(["--output-package", &format!("{IMPORT}/pkg/generated/openapi")]);
    command.args(["--output-file-base", "zz_generated.openapi"]);
    command.args(["--go-header-file", "vendor/k8s.io/code-generator/hack/boilerplate.go.txt"]);
    command.arg("--report-filename").arg(scratch.join("violations"));
    run::step("describing Kubernetes's types", &mut command)?;
    Ok(())
}

/// Import paths of the packages below a directory that ask for it.
fn described(source: &Path, directory: &Path, packages: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(source.join(directory))? {
        let name = entry?.file_name();
        let path = directory.join(&name);
        let text = path.to_string_lossy();
        if NOT_DESCRIBED.iter().any(|start| text.starts_with(start)) {
            continue;
        }
        // The libraries are symlinks into staging/.
        if source.join(&path).is_dir() {
            described(source, &path, packages)?;
        } else if text.ends_with(".go") && !text.contains("/zz_generated") {
            let file = fs::read(source.join(&path))?;
            if file.windows(TAG.len()).any(|bytes| bytes == TAG) {
                packages.insert(format!("{IMPORT}/{}", directory.display()));
            }
        }
    }
    Ok(())
}

fn unpack(into: &Path) -> Result<()> {
    let scratch = into.join(".apt");
    let apt = Apt::open(&scratch, SUITE)?;
    for package in
        apt.download("fetching etcd and kubectl", &PROGRAMS.map(|(package, _)| package))?
    {
        let mut dpkg = Command::new("dpkg-deb");
        run::step("unpacking", dpkg.arg("--extract").arg(package).arg(scratch.join("root")))?;
    }
    for (package, program) in PROGRAMS {
        let from = scratch.join("root/usr/bin").join(program);
        fs::rename(from, into.join(program))
            .with_context(|| format!("{package} has no /usr/bin/{program}"))?;
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))
}
