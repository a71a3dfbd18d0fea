//! The software bill of materials: every crate whose code is in the binary, as CycloneDX 1.5 in JSON
//! (<https://cyclonedx.org/docs/1.5/json/>). Rust's own library and the C library are no crates.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use serde::Deserialize;
use serde_json::{Value, json};

use super::source::Source;
use crate::{artifacts::HOST_TARGET, paths, run};

/// What is linked into the binary: the agent, and the kernel programs in it.
const ROOTS: &[(&str, &str)] = &[("probe-user", HOST_TARGET), ("probe-ebpf", "all")];

/// Name and version, which tell a package of the lock file from all others.
type Id = (String, String);

/// The bill.
pub fn make(source: &Source) -> Result<Vec<u8>> {
    let metadata = metadata()?;
    let linked = linked()?;
    let sums = checksums()?;
    let packages: BTreeMap<Id, &Package> = metadata
        .packages
        .iter()
        .map(|package| (id(package), package))
        .filter(|(id, _)| linked.contains(id))
        .collect();
    let components: Vec<_> =
        packages.iter().map(|(id, package)| component(id, package, sums.get(id))).collect();
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": {
            "type": "application",
            "bom-ref": "nodeprobe",
            "name": "nodeprobe",
            "version": source.version,
            "licenses": [{ "expression": "(MIT OR Apache-2.0) AND (MIT OR GPL-2.0-only)" }],
            "properties": [{ "name": "git:revision", "value": source.revision }],
        }},
        "components": components,
        "dependencies": dependencies(&metadata, &packages)?,
    });
    Ok(serde_json::to_vec_pretty(&bill)?)
}

fn metadata() -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.current_dir(paths::root());
    let platform = format!("--filter-platform={HOST_TARGET}");
    command.other_options(["--locked".to_owned(), platform]);
    command.exec().context("cargo metadata failed")
}

/// The packages that are linked, with the features that are on, which only `cargo tree` tells.
fn linked() -> Result<BTreeSet<Id>> {
    let mut linked = BTreeSet::new();
    for (package, target) in ROOTS {
        let mut tree = run::cargo();
        tree.args(["tree", "--locked", "--package", package, "--target", target]);
        tree.args(["--edges=normal", "--prefix=none", "--format={p}"]);
        let listed = run::query(&mut tree).context("cargo tree failed")?;
        // NAME vVERSION, and (PATH), (proc-macro) or (*) behind it.
        linked.extend(listed.lines().filter(|line| !line.contains("(proc-macro)")).filter_map(
            |line| {
                let mut words = line.split(' ');
                let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
                Some((name.to_owned(), version.to_owned()))
            },
        ));
    }
    Ok(linked)
}

/// Of the archives of packages, by Cargo.lock.
fn checksums() -> Result<BTreeMap<Id, String>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
        checksum: Option<String>,
    }
    let text = fs::read_to_string(paths::root().join("Cargo.lock"))?;
    let lock: Lock = toml::from_str(&text).context("cannot read Cargo.lock")?;
    let sums = lock.package.into_iter();
    Ok(sums.filter_map(|p| Some(((p.name, p.version), p.checksum?))).collect())
}

fn id(package: &Package) -> Id {
    (package.name.to_string(), package.version.to_string())
}

fn url((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{version}")
}

fn component(id: &Id, package: &Package, sum: Option<&String>) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": url(id),
        "name": id.0,
        "version": id.1,
        "purl": url(id),
    });
    if let Some(license) = &package.license {
        // Before SPDX had expressions, crates wrote a slash for OR.
        let parts: Vec<_> = license.split('/').map(str::trim).collect();
        component["licenses"] = json!([{ "expression": parts.join(" OR ") }]);
    }
    if let Some(sum) = sum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    component
}

fn dependencies(metadata: &Metadata, packages: &BTreeMap<Id, &Package>) -> Result<Vec<Value>> {
    let graph = metadata.resolve.as_ref().context("cargo metadata tells no graph")?;
    let of = |package: &Package| {
        let node = graph.nodes.iter().find(|node| node.id == package.id);
        let edges = node.into_iter().flat_map(|node| &node.deps);
        let normal = edges
            .filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        let ids = normal.map(|edge| id(&metadata[&edge.pkg]));
        let mut on: Vec<_> =
            ids.filter(|id| packages.contains_key(id)).map(|id| url(&id)).collect();
        on.sort();
        on
    };
    let roots = ROOTS.iter().map(|(name, _)| (*name).to_owned());
    let roots =
        packages.keys().filter(|(name, _)| roots.clone().any(|root| root == *name)).map(url);
    let mut all = vec![json!({ "ref": "nodeprobe", "dependsOn": roots.collect::<Vec<_>>() })];
    all.extend(packages.iter().map(|(id, p)| json!({ "ref": url(id), "dependsOn": of(p) })));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bill_has_what_is_linked_and_nothing_else() -> Result<()> {
        let source =
            Source { version: "1.2.3", revision: "abc".into(), time: 0, is_changed: false };
        let bill: Value = serde_json::from_slice(&make(&source)?)?;
        let components = bill["components"].as_array().context("no components")?;
        let named = |name: &str| components.iter().find(|component| component["name"] == name);
        for linked in ["aya", "aya-ebpf", "probe-common", "ring"] {
            assert!(named(linked).is_some(), "{linked}");
        }
        for other in ["proptest", "scenarios", "serde_derive", "xtask"] {
            assert!(named(other).is_none(), "{other}");
        }
        let ring = named("ring").context("no ring")?;
        assert!(ring["hashes"][0]["content"].as_str().is_some_and(|sum| sum.len() == 64), "{ring}");
        assert!(components.iter().all(|component| component["licenses"].is_array()));
        let edges = bill["dependencies"].as_array().context("no dependencies")?;
        let root = edges.iter().find(|edge| edge["ref"] == "nodeprobe").context("no root")?;
        assert_eq!(root["dependsOn"].as_array().map(Vec::len), Some(2), "{root}");
        Ok(())
    }
}
