//! Go as Debian has it, unpacked beside what is built with it and thrown away with that.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{apt::Apt, run};

/// A compiler, and libraries to build with.
pub struct Go {
    /// All of it, the caller's to throw away.
    scratch: PathBuf,
    /// Debian's tree.
    tree: PathBuf,
    root: PathBuf,
}

impl Go {
    /// Fetches a release (`1.24`) from a suite, and packages with libraries, into `scratch`.
    pub fn fetch(apt: &Apt, scratch: &Path, release: &str, libraries: &[&str]) -> Result<Self> {
        let mut packages = ["go", "src"].map(|part| format!("golang-{release}-{part}")).to_vec();
        packages.extend(libraries.iter().map(|library| (*library).to_owned()));
        let tree = scratch.join("root");
        for package in apt.download(&format!("fetching Go {release}"), &packages)? {
            let mut dpkg = Command::new("dpkg-deb");
            run::step("unpacking Go", dpkg.arg("--extract").arg(package).arg(&tree))?;
        }
        let root = tree.join(format!("usr/lib/go-{release}"));
        if !root.join("bin/go").exists() {
            bail!("Debian's packages of Go {release} have no {}", root.display());
        }
        Ok(Self { scratch: scratch.to_owned(), tree, root })
    }

    /// Where a package's source is looked for, by its import path.
    pub fn source(&self, import: &str) -> PathBuf {
        self.path().join("src").join(import)
    }

    fn path(&self) -> PathBuf {
        self.tree.join("usr/share/gocode")
    }

    /// Builds the file or package `what` of `directory` as the program `to`.
    pub fn build(&self, directory: &Path, what: &str, flags: &[&str], to: &Path) -> Result<()> {
        let mut go = self.command(&self.root.join("bin/go"), directory);
        go.arg("build").args(flags).arg("-o").arg(to).arg(what);
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        run::step(&format!("building {name}"), &mut go)?;
        Ok(())
    }

    /// A program that finds this Go and its libraries, run in `directory`.
    pub fn command(&self, program: &Path, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(directory).env("GOROOT", &self.root).env("GOPATH", self.path());
        command.env("GOCACHE", self.scratch.join("cache"));
        for (variable, value) in [
            ("CGO_ENABLED", "0"),
            ("GO111MODULE", "off"),
            ("GOTOOLCHAIN", "local"),
            ("GOFLAGS", ""),
        ] {
            command.env(variable, value);
        }
        command
    }

    /// Removes it, and all that is in its scratch directory.
    pub fn remove(self) -> Result<()> {
        let scratch = self.scratch;
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))
    }
}
