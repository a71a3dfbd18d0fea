//! `cargo xtask dist`: what users are given, in target/dist. The same commit gives the same bytes, by
//! the same compilers, wherever it is built.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    artifacts::{self, Artifacts},
    paths, setup,
};

mod again;
mod archive;
mod deb;
mod image;
mod sbom;
mod source;
pub mod test;
mod tree;
mod uninstall;
mod unit;

use image::Image;
use source::Source;

/// What `dist` is asked for.
#[derive(Args)]
pub struct Dist {
    /// Builds all of it again from a clone in another place, and compares
    #[arg(long)]
    check: bool,
    /// Makes the container image too; installs buildah for it
    #[arg(long)]
    image: bool,
    /// Tests what was built, as `cargo xtask test` does: unit, package, image
    #[arg(long)]
    test: bool,
}

/// What was made.
struct Release {
    /// With SHA256SUMS of all of it.
    dir: PathBuf,
    /// Names of the files.
    names: Vec<String>,
}

impl Dist {
    /// Makes the release; returns 0 when no test failed.
    pub fn run(self) -> Result<i32> {
        setup::ensure()?;
        let artifacts = artifacts::build()?;
        if self.test {
            let done = test::all(&artifacts)?.count;
            println!("{done}");
            return Ok(i32::from(done.failed > 0));
        }
        let source = Source::of(&paths::root())?;
        if source.is_changed {
            eprintln!("what is not committed is in it, and it has the name of {}", source.revision);
        }
        let mut release = Release::make(&artifacts, &source)?;
        if self.image {
            let image = Image::build(&artifacts.agent, &source)?;
            release.add(&source.name("oci.tar"), |file| image.save(file))?;
        }
        release.print()?;
        if self.check {
            again::compare(&artifacts, &source)?;
        }
        Ok(0)
    }
}

impl Release {
    fn make(artifacts: &Artifacts, source: &Source) -> Result<Self> {
        let dir = paths::target().join("dist");
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
        }
        fs::create_dir_all(&dir)?;
        let mut release = Self { dir, names: Vec::new() };
        let bom = sbom::make(source)?;
        let files = tree::files(&artifacts.agent, &bom)?;
        let archive = archive::pack(&files, source)?;
        release.add(&source.name("cdx.json"), |file| Ok(fs::write(file, &bom)?))?;
        release.add(&source.name("tar.gz"), |file| Ok(fs::write(file, archive)?))?;
        release.add(&deb::name(source), |file| deb::make(&files, source, file))?;
        Ok(release)
    }

    /// Has a file made, and writes SHA256SUMS anew, as sha256sum(1) checks it.
    fn add(&mut self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let file = self.dir.join(name);
        make(&file).with_context(|| format!("cannot make {}", file.display()))?;
        self.names.push(name.to_owned());
        let mut sums = String::new();
        for name in &self.names {
            let digest = archive::sha256(&fs::read(self.dir.join(name))?);
            sums.push_str(&format!("{digest}  {name}\n"));
        }
        Ok(fs::write(self.dir.join("SHA256SUMS"), sums)?)
    }

    fn print(&self) -> Result<()> {
        for name in &self.names {
            let file = self.dir.join(name);
            println!("{:>7} KiB  {}", fs::metadata(&file)?.len().div_ceil(1024), file.display());
        }
        Ok(())
    }
}
