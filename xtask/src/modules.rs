//! Kernel modules for the guest: the wanted ones and what they depend on, uncompressed, in load order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};

/// Modules that scenarios use; one that is built into a kernel is no file and needs no loading.
pub const WANTED: &[&str] = &[
    // links
    "bridge",
    "dummy",
    "ifb",
    "veth", //
    // queueing disciplines, filters and actions
    "sch_ingress",
    "sch_htb",
    "sch_netem",
    "sch_prio",
    "sch_tbf",
    "sch_fq_codel", //
    "cls_bpf",
    "cls_flower",
    "cls_matchall",
    "cls_u32",
    "act_bpf",
    "act_gact",
    "act_mirred",
    "act_police", //
    // what `ss` asks, and the netlink families a leaking process may open
    "inet_diag",
    "netlink_diag",
    "tcp_diag",
    "udp_diag",
    "unix_diag",
    "nfnetlink", //
    // both backends of iptables, with what their simplest rules are made of
    "ip_tables",
    "ip6_tables",
    "iptable_filter",
    "ip6table_filter",
    "nf_tables",
    "nft_counter",
    "nft_compat",
];
/// The file that lists the selected modules' names, dependencies first.
pub const ORDER: &str = "modules-order";

/// Copies the wanted modules and their dependencies from one flat directory to another.
pub fn select(from: &Path, to: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    for file in fs::read_dir(from)? {
        let path = file?.path();
        files.insert(module_name(&path), path);
    }
    let mut selection = Selection { files, to, seen: BTreeSet::new(), order: String::new() };
    for name in WANTED {
        selection.add(name)?;
    }
    fs::write(to.join(ORDER), selection.order)?;
    Ok(())
}

struct Selection<'a> {
    files: BTreeMap<String, PathBuf>,
    to: &'a Path,
    seen: BTreeSet<String>,
    order: String,
}

impl Selection<'_> {
    fn add(&mut self, name: &str) -> Result<()> {
        let name = name.replace('-', "_");
        let Some(path) = self.files.get(&name) else { return Ok(()) };
        if !self.seen.insert(name.clone()) {
            return Ok(());
        }
        let content = read(path)?;
        for dependency in dependencies(&content).with_context(|| format!("module {name}"))? {
            self.add(&dependency)?;
        }
        let file = format!("{name}.ko");
        fs::write(self.to.join(&file), content)?;
        self.order.push_str(&file);
        self.order.push('\n');
        Ok(())
    }
}

/// `kernel` names modules with `_`, their files may use `-`.
fn module_name(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    file.split(".ko").next().unwrap_or_default().replace('-', "_")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let tool = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return Ok(fs::read(path)?),
    };
    let output = Command::new(tool)
        .args(["-q", "-d", "-c"])
        .arg(path)
        .output()
        .with_context(|| format!("cannot run {tool}"))?;
    if !output.status.success() {
        bail!("{tool} cannot unpack {}", path.display());
    }
    Ok(output.stdout)
}

/// The modules that must be loaded before this one: hard dependencies and those named by `softdep=pre:`.
fn dependencies(module: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(module).context("no ELF file")?;
    let info = file.section_by_name(".modinfo").context("no .modinfo section")?.data()?;
    Ok(info
        .split(|byte| *byte == 0)
        .flat_map(|entry| needs(&String::from_utf8_lossy(entry)))
        .collect())
}

fn needs(entry: &str) -> Vec<String> {
    let names: Vec<&str> = if let Some(names) = entry.strip_prefix("depends=") {
        names.split(',').filter(|name| !name.is_empty()).collect()
    } else if let Some(names) = entry.strip_prefix("softdep=pre:") {
        names.split_whitespace().take_while(|word| *word != "post:").collect()
    } else {
        Vec::new()
    };
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_needs_what_its_modinfo_says() {
        assert_eq!(needs("depends=stp,llc"), ["stp", "llc"]);
        assert!(needs("depends=").is_empty());
        assert_eq!(needs("softdep=pre: crc32c post: late"), ["crc32c"]);
        assert!(needs("license=GPL").is_empty());
    }

    #[test]
    fn file_names_give_module_names() {
        assert_eq!(module_name(Path::new("/m/crc32c-intel.ko.xz")), "crc32c_intel");
    }
}
