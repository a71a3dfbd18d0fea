//! Modules of tc are unloaded and loaded again. No hook of tc lives in one: all are on functions of the kernel.

use anyhow::Result;

use super::loading::Modules;
use super::watched::Watched;
use crate::session::Setup;
use crate::trial::Trial;

/// The fault.
pub const TRIAL: Trial = Trial {
    name: "fault-modules",
    summary: "cls_bpf, sch_ingress and veth are unloaded and loaded again",
    expected: "the agent finds filters that toggle on an interface made before, and on one made after",
    own_guest: true,
    play: check,
};

/// What is unloaded, as far as it is no part of the kernel.
const MODULES: [&str; 3] = ["cls_bpf", "sch_ingress", "veth"];

fn check(setup: &Setup) -> Result<String> {
    let mut agent = Watched::start(setup, "")?;
    agent.finds_a_toggle()?;
    let modules = Modules::of_guest(&MODULES)?;
    modules.unload()?;
    modules.load()?;
    agent.finds_a_toggle()?;
    agent.end()?;
    Ok(format!("{modules} went and came again"))
}
