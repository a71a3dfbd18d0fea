//! A private apt: fetches packages of any Debian release without touching the system's own state.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{mirror, run};

const KEYRINGS: &[&str] = &[
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
];

/// The state of one private apt for one Debian suite; lives in a directory that the caller throws away.
pub struct Apt {
    dir: PathBuf,
    /// As a line of apt's sources names it.
    archive: String,
}

impl Apt {
    /// Fetches the suite's package lists into `dir`.
    pub fn open(dir: &Path, suite: &str) -> Result<Self> {
        let mirror = mirror::debian()?;
        let Some(keyring) = KEYRINGS.iter().find(|file| Path::new(file).exists()) else {
            bail!("no Debian archive keyring: install the package debian-archive-keyring");
        };
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(part))?;
        }
        let archive = format!("[signed-by={keyring}] {mirror} {suite} main");
        fs::write(dir.join("sources.list"), format!("deb {archive}\n"))?;
        // An empty status makes apt resolve every dependency, whatever this system has.
        fs::write(dir.join("status"), "")?;
        let apt = Self { dir: dir.to_owned(), archive };
        let title = format!("reading the package lists of Debian {suite}");
        run::step(&title, apt.command("apt-get").arg("update")).with_context(|| {
            format!("cannot read {suite} from {mirror}: is it reachable? NODEPROBE_DEBIAN_MIRROR chooses another mirror")
        })?;
        Ok(apt)
    }

    /// All package names that start so.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let names = run::query(self.command("apt-cache").args(["pkgnames", prefix]))
            .context("apt-cache failed")?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// The packages and all they depend on.
    pub fn closure(&self, packages: &[&str]) -> Result<Vec<String>> {
        let mut plan = self.command("apt-get");
        plan.args(["--simulate", "--no-install-recommends", "install"]).args(packages);
        let plan = run::step("resolving dependencies", &mut plan)?;
        let names = plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
        Ok(names.map(str::to_owned).collect())
    }

    /// Downloads and verifies packages; returns their files.
    pub fn download(&self, title: &str, packages: &[impl AsRef<str>]) -> Result<Vec<PathBuf>> {
        let into = self.dir.join("packages");
        fs::create_dir_all(&into)?;
        let mut fetch = self.command("apt-get");
        fetch.current_dir(&into).arg("download").args(packages.iter().map(AsRef::as_ref));
        run::step(title, &mut fetch)?;
        let mut files: Vec<_> = fs::read_dir(&into)?.flatten().map(|file| file.path()).collect();
        files.sort();
        Ok(files)
    }

    /// Downloads and verifies a source package as it is, its patches not applied; returns its files.
    pub fn source(&self, package: &str) -> Result<Vec<PathBuf>> {
        let lines = format!("deb {0}\ndeb-src {0}\n", self.archive);
        fs::write(self.dir.join("sources.list"), lines)?;
        run::step("reading the lists of source packages", self.command("apt-get").arg("update"))?;
        let into = self.dir.join("source");
        fs::create_dir_all(&into)?;
        let mut fetch = self.command("apt-get");
        fetch.current_dir(&into).args(["source", "--download-only", package]);
        run::step(&format!("fetching the source of {package}"), &mut fetch)?;
        Ok(fs::read_dir(&into)?.flatten().map(|file| file.path()).collect())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let dir = self.dir.display();
        let options = [
            format!("Dir::State={dir}/state"),
            format!("Dir::State::status={dir}/status"),
            format!("Dir::Cache={dir}/cache"),
            format!("Dir::Etc::sourcelist={dir}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
            "APT::Update::Error-Mode=any".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ];
        for option in options {
            command.args(["-o", &option]);
        }
        command.env("LC_ALL", "C");
        command
    }
}

/// Calls `visit` with the path and content of every regular file and link of a package, paths without a leading `/`.
pub fn unpack(package: &Path, mut visit: impl FnMut(&str, Entry<'_>) -> Result<()>) -> Result<()> {
    let mut dpkg = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("cannot run dpkg-deb")?;
    let stream = dpkg.stdout.take().context("dpkg-deb has no output")?;
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        if let Some(to) = entry.link_name()? {
            let to = to.to_string_lossy().into_owned();
            let hard = entry.header().entry_type().is_hard_link();
            visit(&path, if hard { Entry::HardLink(to) } else { Entry::Link(to) })?;
        } else if entry.header().entry_type().is_file() {
            let mode = entry.header().mode()?;
            visit(&path, Entry::File { mode, content: &mut entry })?;
        }
    }
    // dpkg-deb pads the archive; it must not find the pipe closed.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
    let status = dpkg.wait()?;
    if !status.success() {
        bail!("dpkg-deb could not read {} ({status})", package.display());
    }
    Ok(())
}

/// One member of a package.
pub enum Entry<'a> {
    /// A regular file.
    File {
        /// Its permission bits.
        mode: u32,
        /// Its bytes.
        content: &'a mut dyn std::io::Read,
    },
    /// A symbolic link and what it says.
    Link(String),
    /// Another name of a file of the same package.
    HardLink(String),
}
