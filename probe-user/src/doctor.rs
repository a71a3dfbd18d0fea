//! `nodeprobe doctor`: what this kernel allows and what will not be seen. Attaches every hook as
//! `run` would and lets go at once, so its answer is what would happen, not a guess.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde::Serialize;

use crate::{
    cli::say,
    config::rtnl::RtnlConfig,
    enrich::cgroup::PidsHierarchy,
    kernel::{
        facts::{Facts, Lockdown},
        fields::Offsets,
    },
    probe::{
        hook::Rung,
        ladder::Coverage,
        object::{Options, Probe, ProbeError},
        refusal::chain,
    },
    signals::SIGNALS,
};

/// How the report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    Human,
    Json,
}

/// What the doctor found.
#[derive(Serialize)]
struct Report {
    /// Whether every hook sees something.
    covered: bool,
    kernel: Facts,
    /// Hierarchy that has the pids controller: `v1`, `v2` or `none`.
    pids_controller: &'static str,
    /// Fields of kernel structures that this kernel's BTF does not have.
    missing_fields: Vec<String>,
    hooks: Vec<HookReport>,
    /// Signals that take nothing from the kernel's hooks, but look things up now and then.
    polled: Vec<&'static str>,
}

#[derive(Serialize)]
struct HookReport {
    signal: &'static str,
    hook: &'static str,
    rung: Option<Rung>,
    /// Why there is nothing to see on this kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_applicable: Option<&'static str>,
    sees: &'static str,
    /// What this rung does not see.
    #[serde(skip_serializing_if = "str::is_empty")]
    misses: &'static str,
    /// Better rungs and why they cannot be used.
    refused: Vec<RungRefusal>,
    /// Optional parts that could not be attached.
    without: Vec<PartRefusal>,
}

#[derive(Serialize)]
struct RungRefusal {
    rung: Rung,
    why: String,
}

#[derive(Serialize)]
struct PartRefusal {
    program: &'static str,
    why: String,
}

/// Examines this node and prints the report. Exit code 0 when every hook sees something, else 1.
pub fn run(output: Output, rung: Option<Rung>) -> ExitCode {
    let report = match examine(rung) {
        Ok(report) => report,
        Err(error) => {
            say(&format!("nodeprobe: {}", chain(&error)));
            return ExitCode::FAILURE;
        }
    };
    let text = match output {
        Output::Human => human(&report),
        Output::Json => serde_json::to_string(&report).unwrap_or_default() + "\n",
    };
    let printed = io::stdout().write_all(text.as_bytes());
    if report.covered && printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn examine(rung: Option<Rung>) -> Result<Report, ProbeError> {
    let facts = Facts::read();
    let offsets = Offsets::of_running_kernel().unwrap_or_else(|_| Offsets::unknown());
    let hierarchy = PidsHierarchy::find();
    let pids_controller = match &hierarchy {
        Some(hierarchy) if hierarchy.is_v1() => "v1",
        Some(_) => "v2",
        None => "none",
    };
    let pids_on_cgroup_v1 = pids_controller == "v1";
    let rtnl_least_wait_ns = RtnlConfig::default().least_wait_ns();
    let options = Options { rung, pids_on_cgroup_v1, kernel_log: false, rtnl_least_wait_ns };
    let probe = Probe::load(&facts, &offsets, options)?;
    Ok(Report {
        covered: probe.coverage.iter().all(Coverage::is_covered),
        kernel: facts,
        pids_controller,
        missing_fields: offsets
            .missing
            .iter()
            .map(|field| format!("{}.{}", field.container, field.member))
            .collect(),
        hooks: probe.coverage.iter().map(hook_report).collect(),
        polled: SIGNALS
            .iter()
            .filter(|signal| signal.hooks.is_empty())
            .map(|signal| signal.name)
            .collect(),
    })
}

fn hook_report(covered: &Coverage) -> HookReport {
    HookReport {
        signal: covered.signal.name,
        hook: covered.hook.name,
        rung: covered.rung,
        not_applicable: covered.not_applicable,
        sees: covered.hook.sees,
        misses: covered.misses(),
        refused: covered
            .refusals
            .iter()
            .map(|(rung, why)| RungRefusal { rung: *rung, why: why.to_string() })
            .collect(),
        without: covered
            .without
            .iter()
            .map(|(program, why)| PartRefusal { program, why: why.to_string() })
            .collect(),
    }
}

fn human(report: &Report) -> String {
    let facts = &report.kernel;
    let yes = |fact: bool| if fact { "yes" } else { "no" };
    let lockdown = match facts.lockdown {
        Lockdown::None => "none",
        Lockdown::Integrity => "integrity",
        Lockdown::Confidentiality => "confidentiality",
    };
    let mut lines = vec![
        format!("kernel           {}", facts.release),
        format!("BTF              {}", yes(facts.btf)),
        format!("kprobes          {}", yes(facts.kprobes)),
        format!("lockdown         {lockdown}"),
        format!("pids controller  cgroup {}", report.pids_controller),
    ];
    for capability in &facts.missing_capabilities {
        lines.push(format!("missing          {} ({})", capability.name, capability.purpose));
    }
    if !report.missing_fields.is_empty() {
        lines.push(format!("unknown fields   {}", report.missing_fields.join(", ")));
    }
    for hook in &report.hooks {
        lines.push(String::new());
        if let Some(absent) = hook.not_applicable {
            lines.push(format!("{}/{}: nothing to see: {absent}", hook.signal, hook.hook));
            continue;
        }
        let rung = hook.rung.map_or("none", Rung::name);
        lines.push(format!("{}/{}: {rung}", hook.signal, hook.hook));
        match (hook.rung, hook.misses) {
            (None, _) => lines.push(format!("  cannot see {}", hook.sees)),
            (Some(_), "") => lines.push(format!("  sees {}", hook.sees)),
            (Some(_), misses) => {
                lines.push(format!("  sees {}, but not {misses}", hook.sees));
            }
        }
        for refused in &hook.refused {
            lines.push(format!("  no {}: {}", refused.rung, refused.why));
        }
        for part in &hook.without {
            lines.push(format!("  without {}: {}", part.program, part.why));
        }
    }
    for signal in &report.polled {
        lines.push(String::new());
        lines.push(format!("{signal}: polled"));
        lines.push("  needs no hook".into());
    }
    lines.push(String::new());
    let verdict =
        if report.covered { "every hook is covered" } else { "NOT every hook is covered" };
    lines.push(verdict.into());
    lines.join("\n") + "\n"
}
