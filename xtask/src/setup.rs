//! Making a fresh machine ready: Debian packages, compilers, nothing when all is there.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{paths, run, toolchain};

/// Packages, each with a program or file that shows it is installed.
const PACKAGES: &[(&str, &str)] = &[
    ("debian-archive-keyring", "/usr/share/keyrings/debian-archive-keyring.gpg"),
    ("dpkg", "dpkg-deb"),
    ("gcc", "cc"),
    ("libc6-dev", "/usr/lib/x86_64-linux-gnu/libc.a"),
    ("qemu-system-x86", "qemu-system-x86_64"),
    ("xz-utils", "xz"),
    ("zstd", "zstd"),
    // The native scenarios use the host's own tools.
    ("iproute2", "tc"),
    ("iptables", "iptables-nft"),
    ("nftables", "nft"),
];

/// Installs what is missing, and says what there is.
pub fn show() -> Result<()> {
    ensure()?;
    let toolchain = toolchain::get()?;
    println!("BPF compiler: {}", toolchain.name);
    println!("BPF linker:   {}", toolchain.linker.display());
    println!("cache:        {}", paths::cache()?.display());
    Ok(())
}

/// Installs the Debian packages that are missing.
pub fn ensure() -> Result<()> {
    if cfg!(not(all(target_arch = "x86_64", target_os = "linux"))) {
        bail!("this works on Linux on x86-64 only");
    }
    let missing: Vec<_> = PACKAGES
        .iter()
        .filter(|(_, proof)| !is_there(proof))
        .map(|(package, _)| *package)
        .collect();
    install(&missing)
}

fn is_there(proof: &str) -> bool {
    if proof.starts_with('/') { Path::new(proof).exists() } else { paths::program(proof).is_some() }
}

/// Installs Debian packages with the system's apt.
pub fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    let by_hand =
        || format!("install them as root: apt-get install --no-install-recommends {names}");
    if paths::program("apt-get").is_none() {
        bail!("missing: {names} (names of Debian packages), and this system has no apt-get");
    }
    let apt = || -> Result<Command> {
        let mut apt = run::as_root("apt-get").with_context(by_hand)?;
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        Ok(apt)
    };
    run::step("updating apt's package lists", apt()?.arg("update")).with_context(by_hand)?;
    let mut install = apt()?;
    install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    run::step(&format!("installing {names}"), &mut install).with_context(by_hand)?;
    Ok(())
}
