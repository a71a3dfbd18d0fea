//! The report for a human: the verdict, what holds for every hook, then hook by hook.

use super::report::{HookReport, Report, RungRefusal};
use crate::{
    kernel::facts::Kprobes,
    probe::{ground::FieldsFrom, hook::Rung},
    text::plain_lines,
};

/// So many hooks with one refusal are told of it together.
const MANY: usize = 3;

/// The report as text, a fact a line.
pub fn text(report: &Report<'_>) -> String {
    let mut lines = vec![verdict(report), String::new()];
    facts(report, &mut lines);
    let common = common(report);
    for Common { refused, rungs, hooks } in &common {
        lines.push(String::new());
        lines.push(format!("no {}: {}", join(rungs), refused.why));
        lines.push(format!("  to do: {}", refused.todo));
        lines.push(format!("  hooks: {}", hooks.join(", ")));
    }
    for one in &report.hooks {
        lines.push(String::new());
        hook(one, &common, &mut lines);
    }
    for signal in &report.polled {
        lines.push(String::new());
        lines.push(format!("{signal}: polled"));
        lines.push("  needs no hook".into());
    }
    plain_lines(&lines.join("\n")) + "\n"
}

fn verdict(report: &Report<'_>) -> String {
    let names = |chosen: fn(&&HookReport) -> bool| {
        let hooks = report.hooks.iter().filter(chosen);
        hooks.map(|one| format!("{}/{}", one.signal, one.hook)).collect::<Vec<_>>().join(", ")
    };
    let blind =
        names(|one| one.rung.is_none() && one.not_applicable.is_none() && one.pending.is_none());
    let in_part = names(|one| !one.misses.is_empty());
    let verdict = match (report.covered, in_part.as_str()) {
        (false, _) => format!("NOT every hook is covered: nothing is seen of {blind}"),
        (true, "") => "every hook is covered".into(),
        (true, _) => format!("every hook is covered, in part only: {in_part}"),
    };
    match names(|one| one.pending.is_some()).as_str() {
        "" => verdict,
        pending => format!("{verdict}; waiting for a kernel module: {pending}"),
    }
}

fn facts(report: &Report<'_>, lines: &mut Vec<String>) {
    let facts = report.kernel;
    let kprobes = match facts.kprobes {
        Kprobes::Armed => "yes",
        Kprobes::Off => "switched off",
        Kprobes::None => "no",
    };
    let fields = match &report.fields_from {
        FieldsFrom::Kernel => String::new(),
        FieldsFrom::File(file) => format!("; fields from {}", file.display()),
        FieldsFrom::Nowhere => "; places of fields unknown (--btf FILE tells them)".into(),
    };
    let btf = if facts.btf { "yes" } else { "no" };
    lines.push(format!("kernel           {}", facts.release));
    lines.push(format!("BTF              {btf}{fields}"));
    lines.push(format!("kprobes          {kprobes}"));
    lines.push(format!("lockdown         {}", facts.lockdown.name()));
    lines.push(format!("pids controller  cgroup {}", report.pids_controller));
    for capability in &facts.missing_capabilities {
        lines.push(format!("missing          {}: cannot {}", capability.name, capability.purpose));
    }
    if !report.missing_fields.is_empty() && report.fields_from != &FieldsFrom::Nowhere {
        lines.push(format!("unknown fields   {}", report.missing_fields.join(", ")));
    }
}

/// A refusal that several hooks met.
struct Common<'a> {
    refused: &'a RungRefusal,
    rungs: Vec<Rung>,
    hooks: Vec<String>,
}

/// What stops many hooks alike is told once.
fn common<'a>(report: &'a Report<'_>) -> Vec<Common<'a>> {
    let mut all: Vec<Common<'a>> = Vec::new();
    for one in &report.hooks {
        for refused in &one.refused {
            let name = format!("{}/{}", one.signal, one.hook);
            match all.iter_mut().find(|common| common.refused.why == refused.why) {
                Some(common) => {
                    push_new(&mut common.rungs, refused.rung);
                    push_new(&mut common.hooks, name);
                }
                None => all.push(Common { refused, rungs: vec![refused.rung], hooks: vec![name] }),
            }
        }
    }
    all.retain(|common| common.hooks.len() >= MANY);
    all
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn hook(one: &HookReport, common: &[Common<'_>], lines: &mut Vec<String>) {
    let name = format!("{}/{}", one.signal, one.hook);
    let told = |why: &str| common.iter().any(|common| common.refused.why == why);
    match (one.not_applicable, one.pending, one.rung) {
        (Some(absent), ..) => {
            lines.push(format!("{name}: nothing to see: {absent}"));
            return;
        }
        (None, Some(module), _) => {
            lines.push(format!("{name}: pending: the kernel module {module} is not loaded"));
            lines.push(format!("  will see {}", one.sees));
        }
        (None, None, None) => {
            lines.push(format!("{name}: none"));
            lines.push(format!("  cannot see {}", one.sees));
        }
        (None, None, Some(rung)) => {
            lines.push(format!("{name}: {rung}"));
            let but = if one.misses.is_empty() { "" } else { ", but not " };
            lines.push(format!("  sees {}{but}{}", one.sees, one.misses));
        }
    }
    for refused in one.refused.iter().filter(|refused| !told(&refused.why)) {
        lines.push(format!("  no {}: {}", refused.rung, refused.why));
        lines.push(format!("    to do: {}", refused.todo));
    }
    for part in &one.without {
        lines.push(format!("  without {}: {}", part.program, part.why));
        lines.push(format!("    to do: {}", part.todo));
    }
}

fn join(rungs: &[Rung]) -> String {
    rungs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
