//! What `/livez` and `/readyz` answer. Written by the loop, read by the endpoint on the same thread: a
//! loop that blocks answers nothing at all, which a probe of the kubelet takes for what it is.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Stuck;

/// The agent's health, as of the last tick.
#[derive(Default)]
pub struct Health(Mutex<State>);

#[derive(Default)]
struct State {
    /// What is not covered, a line each; `None` until the agent is ready.
    gaps: Option<Vec<String>>,
    stuck: Stuck,
}

/// Whether it is well, and the text that says it.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub well: bool,
    pub text: String,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hooks are attached and the ring was drained once.
    pub fn ready(&self, gaps: Vec<String>) {
        self.lock().gaps = Some(gaps);
    }

    /// Takes over what is stuck.
    pub fn observe(&self, stuck: Stuck) {
        self.lock().stuck = stuck;
    }

    /// Whether every vital loop turns. What is stuck is named, vital or not.
    #[must_use]
    pub fn live(&self) -> Answer {
        let Stuck { all, vital } = &self.lock().stuck;
        Answer { well: !vital, text: lines(verdict(!vital), &[], all) }
    }

    /// Whether the agent sees what it can see. What it cannot is named.
    #[must_use]
    pub fn readiness(&self) -> Answer {
        let state = self.lock();
        match &state.gaps {
            Some(gaps) => Answer { well: true, text: lines("ok", gaps, &state.stuck.all) },
            None => Answer { well: false, text: "starting\n".into() },
        }
    }
}

fn verdict(well: bool) -> &'static str {
    if well { "ok" } else { "not live" }
}

fn lines(verdict: &str, gaps: &[String], stuck: &[&str]) -> String {
    let stuck = stuck.iter().map(|name| format!("stuck: {name}\n"));
    let gaps = gaps.iter().map(|gap| format!("{gap}\n"));
    std::iter::once(format!("{verdict}\n")).chain(stuck).chain(gaps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_told_and_says_what_it_cannot_see() {
        let health = Health::default();
        assert_eq!(health.readiness(), Answer { well: false, text: "starting\n".into() });
        assert!(health.live().well, "starting is no reason to be killed");
        health.ready(vec!["not covered: tc/request: because".into()]);
        let text = "ok\nnot covered: tc/request: because\n".into();
        assert_eq!(health.readiness(), Answer { well: true, text });
    }

    #[test]
    fn only_a_vital_loop_that_is_stuck_is_a_reason_to_be_killed() {
        let health = Health::default();
        health.observe(Stuck { all: vec!["sink-stdout"], vital: false });
        assert_eq!(health.live(), Answer { well: true, text: "ok\nstuck: sink-stdout\n".into() });
        health.observe(Stuck { all: vec!["sink-stdout", "pollers"], vital: true });
        let text = "not live\nstuck: sink-stdout\nstuck: pollers\n".into();
        assert_eq!(health.live(), Answer { well: false, text });
        health.observe(Stuck::default());
        assert!(health.live().well);
    }
}
