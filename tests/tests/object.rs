//! The built eBPF object is what a kernel and the agent expect.

use std::{env, fs};

use anyhow::{Context, Result, ensure};
use object::{Architecture, File, Object, ObjectSection, ObjectSymbol, SymbolKind};
use probe_common::layout::RECORDS;
use probe_user::{kernel::btf::Btf, signals::SIGNALS};

/// Licences the kernel takes for GPL-compatible (`include/linux/license.h`).
const GPL_COMPATIBLE: [&str; 6] =
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

/// First two bytes of the `.BTF` section.
const BTF_MAGIC: u16 = 0xeb9f;

fn object_bytes() -> Result<Vec<u8>> {
    let path = env::var_os("NODEPROBE_BPF_OBJECT").context(
        "NODEPROBE_BPF_OBJECT does not name the built eBPF object: run `cargo xtask test`",
    )?;
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn section<'a>(object: &File<'a>, name: &str) -> Result<&'a [u8]> {
    let section = object.section_by_name(name);
    Ok(section.with_context(|| format!("no section {name}"))?.data()?)
}

/// Names of the sections that hold programs of one of these kinds.
fn programs(object: &File<'_>, kinds: &[&str]) -> Vec<String> {
    let names = object.sections().filter_map(|section| Some(section.name().ok()?.to_owned()));
    names.filter(|name| name.split('/').next().is_some_and(|kind| kinds.contains(&kind))).collect()
}

#[test]
fn it_is_a_little_endian_bpf_elf() -> Result<()> {
    let bytes = object_bytes()?;
    let object = File::parse(&*bytes)?;
    assert_eq!(object.architecture(), Architecture::Bpf);
    assert!(object.is_little_endian());
    Ok(())
}

#[test]
fn its_licence_lets_it_call_gpl_helpers() -> Result<()> {
    let bytes = object_bytes()?;
    let licence = std::str::from_utf8(section(&File::parse(&*bytes)?, "license")?)?;
    let licence = licence.trim_end_matches('\0');
    ensure!(GPL_COMPATIBLE.contains(&licence), "{licence:?} is not GPL-compatible");
    Ok(())
}

#[test]
fn it_carries_its_types() -> Result<()> {
    let bytes = object_bytes()?;
    let object = File::parse(&*bytes)?;
    let magic = section(&object, ".BTF")?.first_chunk().context("an empty .BTF")?;
    assert_eq!(u16::from_le_bytes(*magic), BTF_MAGIC);
    Ok(())
}

#[test]
fn it_has_programs_for_the_first_rung_and_the_last() -> Result<()> {
    let bytes = object_bytes()?;
    let object = File::parse(&*bytes)?;
    assert!(!programs(&object, &["fexit"]).is_empty(), "no fexit program");
    let tracepoints = programs(&object, &["tp", "tracepoint", "raw_tp", "raw_tracepoint"]);
    assert!(!tracepoints.is_empty(), "no tracepoint program");
    Ok(())
}

#[test]
fn its_records_are_laid_out_as_the_agent_reads_them() -> Result<()> {
    let bytes = object_bytes()?;
    let object = File::parse(&*bytes)?;
    let btf = Btf::parse(section(&object, ".BTF")?)?;
    for record in RECORDS {
        let ids = &btf.named(&[record.name])[record.name];
        let id = *ids.first().with_context(|| format!("no {} in the BTF", record.name))?;
        assert_eq!(btf.size(id), u32::try_from(record.size).ok(), "size of {}", record.name);
        for (member, offset) in record.members {
            let found = btf.locate(id, member);
            assert_eq!(found, u32::try_from(*offset).ok(), "{}.{member}", record.name);
        }
    }
    Ok(())
}

#[test]
fn its_programs_are_those_the_hooks_name() -> Result<()> {
    let bytes = object_bytes()?;
    let object = File::parse(&*bytes)?;
    let mut built: Vec<&str> = object
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_global())
        .filter(|symbol| in_program_section(&object, symbol))
        .map(|symbol| symbol.name())
        .collect::<Result<_, _>>()?;
    let steps = SIGNALS.iter().flat_map(|signal| signal.hooks).flat_map(|hook| hook.steps);
    let mut named: Vec<&str> = steps.flat_map(|step| step.programs).map(|p| p.program).collect();
    built.sort_unstable();
    named.sort_unstable();
    named.dedup();
    assert_eq!(built, named);
    Ok(())
}

fn in_program_section<'a>(object: &File<'a>, symbol: &impl ObjectSymbol<'a>) -> bool {
    let section = symbol.section_index().and_then(|index| object.section_by_index(index).ok());
    section.is_some_and(|section| section.name().is_ok_and(|name| name != ".text"))
}
