//! Hooks in kernel modules: attached while the module is there, pending while it is not. A kprobe in a
//! module that is unloaded is disarmed without a word, so the module is looked at each second.

use aya::Ebpf;

use super::{attach::Attacher, coverage::Coverage, ground::Ground, ladder::Ladder};
use crate::kernel::modules;

/// Follows the modules that hooks live in.
pub struct Modules {
    ground: Ground,
    watched: Vec<Watched>,
}

/// The module of one hook.
struct Watched {
    /// Place of the hook among all.
    hook: usize,
    module: &'static str,
    /// The loading it was last attached to, or tried to be; `None` when the module was not there, and
    /// when it is built in without a trace of its own in sysfs.
    instance: Option<u64>,
}

impl Modules {
    /// Of hooks that were just attached as far as their modules were there.
    #[must_use]
    pub fn new(ground: &Ground, coverage: &[Coverage]) -> Self {
        let watched = coverage.iter().enumerate().filter_map(|(hook, covered)| {
            let module = covered.hook.module()?;
            // One that came in between is new to the first look.
            let there = covered.pending().is_none();
            let instance = there.then(|| modules::instance(module)).flatten();
            Some(Watched { hook, module, instance })
        });
        Self { watched: watched.collect(), ground: ground.clone() }
    }

    /// Attaches the hooks whose module came, and takes back those whose module went. Returns what
    /// changed, with the name of the rung it had before.
    pub fn look<'a>(
        &mut self,
        ebpf: &mut Ebpf,
        coverage: &'a mut [Coverage],
    ) -> Vec<(&'a Coverage, &'static str)> {
        let mut changed = Vec::new();
        for watched in &mut self.watched {
            let instance = modules::instance(watched.module);
            if instance == watched.instance || modules::is_moving(watched.module) {
                continue;
            }
            watched.instance = instance;
            let Some(covered) = coverage.get_mut(watched.hook) else { continue };
            let before = covered.rung_name();
            let Ground { facts, offsets, choices, .. } = &self.ground;
            // No fexit in modules: aya 0.14 knows the BTF of the kernel proper only.
            let mut ladder = Ladder::new(Attacher::new(ebpf, None), facts, offsets, choices);
            ladder.detach(covered.hook);
            *covered = ladder.attach(covered.signal, covered.hook);
            changed.push((watched.hook, before));
        }
        let coverage: &'a [Coverage] = coverage;
        let named = |(hook, before)| coverage.get(hook).map(|covered| (covered, before));
        changed.into_iter().filter_map(named).collect()
    }
}
