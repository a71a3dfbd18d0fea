//! Debian's kernels: found by series, downloaded, reduced to what a test guest needs.

use std::{
    cmp::Ordering,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    apt::{self, Apt, Entry},
    cache, modules,
};

/// A kernel as the user calls it, and where Debian has it.
struct Series {
    name: &'static str,
    /// What its releases begin with.
    version: &'static str,
    flavour: &'static str,
    suite: &'static str,
    /// Whether the mirror has its modules; a guest without them skips what needs one.
    modules: bool,
}

impl Series {
    const fn cloud(name: &'static str, suite: &'static str) -> Self {
        Self { name, version: name, flavour: "cloud", suite, modules: true }
    }
}

/// Oldest first. Of 7.0 only the images are left.
const SERIES: &[Series] = &[
    Series::cloud("5.10", "bullseye"),
    Series::cloud("6.1", "bookworm"),
    Series::cloud("6.12", "trixie"),
    Series { name: "6.12-rt", version: "6.12", flavour: "rt", suite: "trixie", modules: true },
    Series::cloud("6.18", "trixie-backports"),
    Series { modules: false, ..Series::cloud("7.0", "trixie-backports") },
    Series::cloud("7.2", "trixie-backports"),
];
/// A mirror may list a package it no longer has: how many versions of a series are tried.
const TRIES: usize = 6;
const RELEASE_FILE: &str = "release";

/// A kernel ready to boot.
pub struct Kernel {
    /// What the user calls it: `6.1`.
    pub series: &'static str,
    /// What it calls itself: `6.1.0-50-cloud-amd64`.
    pub release: String,
    dir: PathBuf,
}

impl Kernel {
    /// The kernel image.
    pub fn image(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    /// The modules' files, in the order they are loaded.
    pub fn modules(&self) -> Result<Vec<PathBuf>> {
        let order = fs::read_to_string(self.dir.join(modules::ORDER))?;
        Ok(order.lines().map(|name| self.dir.join(name)).collect())
    }
}

/// All series, for help texts and argument checks.
pub fn all_series() -> impl Iterator<Item = &'static str> {
    SERIES.iter().map(|series| series.name)
}

/// The kernel of a series, from the cache or else from the mirror.
pub fn get(name: &str) -> Result<Kernel> {
    let Some(series) = SERIES.iter().find(|series| series.name == name) else {
        bail!("no kernel {name}: one of {}", all_series().collect::<Vec<_>>().join(", "));
    };
    let recipe = format!("{}\n{}\n", series.suite, modules::WANTED.join("\n"));
    let dir = cache::entry(&format!("kernels/{name}"), &recipe, |dir| fetch(series, dir))
        .with_context(|| format!("cannot get kernel {name}"))?;
    let release = fs::read_to_string(dir.join(RELEASE_FILE))?;
    Ok(Kernel { series: series.name, release, dir })
}

fn fetch(series: &Series, into: &Path) -> Result<()> {
    let scratch = into.join("apt");
    let apt = Apt::open(&scratch, series.suite)?;
    let candidates = candidates(&apt, series)?;
    let mut last = None;
    for (release, packages) in candidates.iter().take(TRIES) {
        match apt.download(&format!("fetching kernel {release}"), packages) {
            Ok(files) => {
                extract(&files, into, &scratch)?;
                // A guest without modules skips; it must not skip because something went wrong here.
                let selected = fs::read_to_string(into.join(modules::ORDER))?;
                if series.modules && selected.is_empty() {
                    bail!("the packages of {release} hold none of the wanted modules");
                }
                fs::write(into.join(RELEASE_FILE), release)?;
                fs::remove_dir_all(&scratch)?;
                return Ok(());
            }
            Err(error) => last = Some(error),
        }
    }
    let Series { version, flavour, suite, .. } = series;
    Err(last.with_context(|| format!("Debian {suite} has no {flavour} kernel {version}"))?)
}

/// Releases of a series with the packages that hold them, newest first.
fn candidates(apt: &Apt, series: &Series) -> Result<Vec<(String, Vec<String>)>> {
    let end = format!("-{}-amd64", series.flavour);
    let releases = |kind: &str| -> Result<Vec<String>> {
        let prefix = format!("linux-{kind}-");
        let names = apt.names(&format!("{prefix}{}.", series.version))?;
        let names = names.iter().filter(|name| name.ends_with(&end));
        Ok(names.filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect())
    };
    // From 7.x on linux-image is empty and its parts are packages of their own.
    let split = releases("binary")?;
    let mut images = releases("image")?;
    images.sort_by(|a, b| natural(b, a));
    let packages = |release: &String| {
        if !split.contains(release) {
            return vec![format!("linux-image-{release}")];
        }
        let modules = series.modules.then(|| format!("linux-modules-{release}"));
        [format!("linux-binary-{release}")].into_iter().chain(modules).collect()
    };
    Ok(images.iter().map(|release| (release.clone(), packages(release))).collect())
}

/// Compares version texts, their numbers by value.
fn natural(a: &str, b: &str) -> Ordering {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
    };
    numbers(a).cmp(&numbers(b))
}

/// Takes the image and the wanted modules out of the packages.
fn extract(packages: &[PathBuf], into: &Path, scratch: &Path) -> Result<()> {
    let all = scratch.join("modules");
    fs::create_dir_all(&all)?;
    let mut image = false;
    for package in packages {
        apt::unpack(package, |path, entry| {
            let Entry::File { content, .. } = entry else { return Ok(()) };
            let name = path.rsplit('/').next().unwrap_or(path);
            let to = if name.starts_with("vmlinuz") {
                image = true;
                into.join("vmlinuz")
            } else if path.contains("/modules/") && name.contains(".ko") {
                all.join(name)
            } else {
                return Ok(());
            };
            std::io::copy(content, &mut File::create(to)?)?;
            Ok(())
        })?;
    }
    if !image {
        bail!("the packages hold no kernel image");
    }
    modules::select(&all, into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(natural("7.2.9+deb13-cloud-amd64", "7.2.12+deb13-cloud-amd64"), Ordering::Less);
        assert_eq!(natural("5.10.0-32-cloud-amd64", "5.10.0-30-cloud-amd64"), Ordering::Greater);
    }
}
