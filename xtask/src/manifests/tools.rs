//! What manifests are checked with, in the cache: kubectl as Debian has it, and two programs of Python's
//! index with all that they need, each package told by version and checksum.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{apt::Apt, cache, pip, run};

/// The first suite of Debian whose kubectl renders as those of supported clusters do.
const SUITE: &str = "trixie";
const PACKAGE: &str = "kubectl";
/// Wheels are for one version of the interpreter.
const PYTHON: &str = "3.11";
const WHEELS: &str = include_str!("wheels.txt");

/// The installed tools.
pub struct Tools {
    kubectl: PathBuf,
    packages: PathBuf,
}

impl Tools {
    /// Installs what is missing.
    pub fn get() -> Result<Self> {
        let kubectl = kubectl()?;
        let packages = cache::entry("manifests/python", WHEELS, install)
            .context("cannot install what checks manifests")?;
        Ok(Self { kubectl, packages })
    }

    /// Renders a kustomization.
    pub fn render(&self, directory: &Path) -> Result<String> {
        let mut kubectl = Command::new(&self.kubectl);
        let output = kubectl.arg("kustomize").arg(directory).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && said.is_empty(), "kubectl kustomize: {}", said.trim());
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The interpreter, with the packages.
    pub fn python(&self) -> Command {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", &self.packages).env("PYTHONDONTWRITEBYTECODE", "1");
        python
    }
}

/// The program; it is among the servers, as tests apply with it what it renders.
pub fn kubectl() -> Result<PathBuf> {
    let entry = cache::entry("servers/kubectl", &format!("{SUITE} {PACKAGE}"), unpack)
        .context("cannot install kubectl")?;
    Ok(entry.join("usr/bin/kubectl"))
}

fn unpack(into: &Path) -> Result<()> {
    let scratch = into.join(".apt");
    for file in Apt::open(&scratch, SUITE)?.download("fetching kubectl", &[PACKAGE])? {
        let mut dpkg = Command::new("dpkg-deb");
        run::step("unpacking kubectl", dpkg.arg("--extract").arg(file).arg(into))?;
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))
}

/// No virtualenv: that knows where it is, and a cache entry is moved to its place.
fn install(into: &Path) -> Result<()> {
    let mut pip = pip::command()?;
    let version = "import sys; print('%d.%d' % sys.version_info[:2])";
    let version = run::query(Command::new("python3").args(["-c", version])).unwrap_or_default();
    ensure!(
        version == PYTHON,
        "python3 is {version} and the wheels of xtask/src/manifests/wheels.txt are for {PYTHON} (Debian \
         bookworm's): put that first on the PATH"
    );
    let wanted = into.join("wanted.txt");
    fs::write(&wanted, WHEELS)?;
    pip.args(["install", "--no-deps", "--require-hashes", "--only-binary=:all:", "--target"]);
    pip.arg(into).arg("--requirement").arg(&wanted);
    run::step("fetching checkov and kubernetes-validate from PyPI", &mut pip).map(drop)
}
