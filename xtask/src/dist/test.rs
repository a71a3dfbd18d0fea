//! Tests of what users are given. What is built already is packed, installed and started here; nothing
//! is compiled.

use std::fs;

use anyhow::{Context, Result, ensure};
use scenarios::report::Done;
use serde_json::Value;

use super::{Release, deb, image::Image, source::Source, uninstall, unit, unit::Unit};
use crate::{artifacts::Artifacts, paths, remap, run, test::Tested};

/// What the agent would do on this node.
const DOCTOR: &[&str] = &["doctor", "--output=json"];

/// All of them.
pub fn all(artifacts: &Artifacts) -> Result<Tested> {
    unit::ensure_tools()?;
    let source = Source::of(&paths::root())?;
    let mut tested = Tested::default();
    let mut check = |name: &str, check: &dyn Fn() -> Result<()>| match check() {
        Ok(()) => {
            println!("{name} ... ok");
            tested.count += Done::PASSED;
        }
        Err(error) => {
            println!("{name} ... FAILED\n{error:#}");
            tested.count += Done::FAILED;
            tested.failed.push(format!("{name}: {error:#}"));
        }
    };
    let mut skipped = 0;
    let mut skip = |why: String| {
        println!("{why}");
        skipped += 1;
    };
    let release = Release::make(artifacts, &source)?;
    release.print()?;
    check("the binary tells no directory of this machine", &|| tells_no_place(artifacts));
    check("a release is the same when it is made again", &|| is_the_same_again(artifacts, &source));
    check("systemd takes the unit", &unit::verify);
    check("the unit is confined", &unit::exposure);
    check("the package installs, and a purge leaves nothing", &|| {
        deb::test(&release.dir.join(deb::name(&source)))
    });
    match uninstall::impossible() {
        None => check("the archive goes as it came, with what ran of it", &|| {
            uninstall::test(&release.dir.join(source.name("tar.gz")))
        }),
        Some(why) => skip(format!("the archive is not installed: {why}")),
    }
    if run::can_be_root() {
        check("in the image, with the rights of the unit, it sees what root sees", &|| {
            image(artifacts, &source)
        });
    } else {
        skip("the image is not built: that needs root, or sudo without a password".into());
    }
    tested.count += Done { skipped, ..Done::default() };
    Ok(tested)
}

fn tells_no_place(artifacts: &Artifacts) -> Result<()> {
    let mut places = vec![paths::root(), remap::cargo_home()?];
    // A name as short as /src is part of others.
    places.retain(|place| place.components().count() > 2);
    for file in [&artifacts.agent, &artifacts.object] {
        let content = fs::read(file)?;
        for place in &places {
            let place = place.as_os_str().as_encoded_bytes();
            let found = content.windows(place.len()).any(|bytes| bytes == place);
            ensure!(!found, "{} has {}", file.display(), String::from_utf8_lossy(place));
        }
    }
    Ok(())
}

fn is_the_same_again(artifacts: &Artifacts, source: &Source) -> Result<()> {
    let sums = || fs::read_to_string(paths::target().join("dist/SHA256SUMS"));
    let first = sums()?;
    Release::make(artifacts, source)?;
    let second = sums()?;
    ensure!(first == second, "first\n{first}then\n{second}");
    Ok(())
}

fn image(artifacts: &Artifacts, source: &Source) -> Result<()> {
    let image = Image::build(&artifacts.agent, source)?;
    let dir = tempfile::tempdir().context("cannot make a directory")?;
    image.save(&dir.path().join("image.tar"))?;
    let unit = Unit::read()?;
    let (code, said) = image.run(&unit, &["--version"])?;
    ensure!(code == Some(0) && said.contains(source.version), "exit code {code:?}: {said}");
    let (code, table) = image.run(&unit, &["doctor"])?;
    ensure!(matches!(code, Some(0 | 1)) && table.contains("fork/clone"), "code {code:?}: {table}");
    let mut root = run::as_root(&artifacts.agent).context("root is needed: install sudo")?;
    let all = root.args(DOCTOR).output().context("cannot run the agent")?;
    let (_, some) = image.run(&unit, DOCTOR)?;
    let (all, some) = (hooks(&all.stdout)?, hooks(some.as_bytes())?);
    ensure!(all == some, "as root it sees\n{all:#}\nand confined\n{some:#}");
    Ok(())
}

/// How the agent would hook into this kernel, by what doctor prints.
fn hooks(doctor: &[u8]) -> Result<Value> {
    let mut told: Value = serde_json::from_slice(doctor).context("doctor prints no JSON")?;
    Ok(told["hooks"].take())
}
