//! Plays scenarios and judges the agent by them.

use anyhow::{Error, Result};

use crate::doctor;
use crate::replay::Capture;
use crate::report::{Done, Skip, SkipKind, Tally, Verdict};
use crate::scenario::{DEMO, Props, Scenario, Stage};
use crate::session::{self, Catch, Session, Setup};
use crate::trial::Trial;

/// Time runs faster for the slow leaks, and four times as many fds would take as long to leak; the
/// files of a kubelet are where a scenario writes them. All else is the default.
const DEMO_CONFIG: &str = "[netlink]\nbucket = \"1s\"\n[fd]\npoll = \"1s\"\nwarn_open = 256\n\
                           [enrich]\nhost_root = \"/run/nodeprobe-who-pod\"\n";

/// Consults the doctor, then plays each scenario and each trial with an agent of its own.
pub fn run(setup: &Setup, scenarios: &[&Scenario], trials: &[&Trial]) -> Done {
    let mut tally = Tally::new(setup.stage.reporter.clone());
    tally.verdict(doctor::verdict(setup));
    for scenario in scenarios {
        setup.stage.reporter.progress(format!("{}: {}", scenario.name, scenario.summary));
        tally.verdict(verdict(scenario, play(setup, scenario), setup.stage.skips.take()));
    }
    for trial in trials {
        setup.stage.reporter.progress(format!("{}: {}", trial.name, trial.summary));
        tally.verdict(trial.verdict(setup));
    }
    tally.finish()
}

/// Plays the main incidents, then normal life, with one agent that is there from the beginning.
pub fn demo(setup: &Setup) -> Done {
    let mut tally = Tally::new(setup.stage.reporter.clone());
    match Session::start(setup, DEMO_CONFIG, None) {
        Ok(session) => play_demo(session, &setup.stage, &mut tally),
        Err(error) => DEMO.iter().for_each(|scenario| tally.verdict(failed(scenario, &error))),
    }
    tally.finish()
}

fn play(setup: &Setup, scenario: &Scenario) -> Result<Vec<Catch>> {
    let before = match &scenario.prelude {
        Some(prelude) => session::before(setup, prelude)?.map(|played| (prelude, played)),
        None => None,
    };
    let capture = Capture::of(scenario.name, scenario.config)?;
    let mut session = Session::start(setup, scenario.config, capture)?;
    let (mut catches, _unseen) = match before {
        Some((prelude, played)) => session.prelude(prelude, played)?,
        None => Default::default(),
    };
    // The holders among them stay to the end: they are judged for as long as the incidents are.
    let _still_normal = session.quiet(scenario.quiet)?;
    for act in scenario.acts {
        catches.extend(session.act(act, act.resolves)?);
    }
    session.end()?;
    Ok(catches)
}

fn play_demo(mut session: Session, stage: &Stage, tally: &mut Tally) {
    let (controls, incidents): (Vec<&Scenario>, Vec<_>) =
        DEMO.iter().partition(|scenario| scenario.acts.is_empty());
    for scenario in incidents {
        // With the default hold times nobody would wait for a finding to resolve.
        let catches = scenario.acts.iter().map(|act| session.act(act, false));
        let catches =
            catches.collect::<Result<Vec<_>>>().map(|all| all.into_iter().flatten().collect());
        tally.verdict(verdict(scenario, catches, stage.skips.take()));
    }
    let normal_life = controls.iter().try_fold(Props::new(), |mut props, scenario| {
        props.extend(session.quiet(scenario.quiet)?);
        Ok(props)
    });
    let outcome = normal_life.and_then(|_still_normal| session.end());
    for scenario in controls {
        tally.verdict(match &outcome {
            Ok(()) => verdict(scenario, Ok(Vec::new()), stage.skips.take()),
            Err(error) => failed(scenario, error),
        });
    }
}

/// Turns what was caught, or why it was not, into a verdict.
fn verdict(scenario: &Scenario, outcome: Result<Vec<Catch>>, skipped: Vec<Skip>) -> Verdict {
    let catches = match outcome {
        Ok(catches) => catches,
        Err(error) => return Verdict { skipped, ..failed(scenario, &error) },
    };
    let said: Vec<String> = catches.iter().map(|catch| catch.arrival.finding.to_string()).collect();
    let first = catches.first();
    Verdict {
        scenario: scenario.name.into(),
        pass: true,
        detail: if said.is_empty() { scenario.expected.into() } else { said.join("; ") },
        latency_ms: first.map(|catch| catch.latency_ms),
        finding_id: first.map(|catch| catch.arrival.finding.fields.id.clone()),
        who: first.and_then(|catch| catch.arrival.finding.who()),
        played: was_played(scenario, &skipped),
        skipped,
    }
}

/// Whether any of its incidents was played; where it has none, any of its controls.
fn was_played(scenario: &Scenario, skipped: &[Skip]) -> bool {
    let not_played =
        |part: &str| skipped.iter().any(|s| s.kind == SkipKind::NotPlayed && s.part == part);
    let incidents = scenario.acts.iter().map(|act| act.summary);
    let incidents = incidents.chain(scenario.prelude.as_ref().map(|prelude| prelude.summary));
    let mut parts: Vec<&str> = incidents.collect();
    if parts.is_empty() {
        parts.extend(scenario.quiet.iter().map(|quiet| quiet.summary));
    }
    !parts.into_iter().all(not_played)
}

fn failed(scenario: &Scenario, error: &Error) -> Verdict {
    Verdict::new(scenario.name, false, format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::find;

    fn skip(part: &str, kind: SkipKind) -> Skip {
        Skip { part: part.into(), kind, reason: String::new() }
    }

    #[test]
    fn a_scenario_is_played_unless_each_of_its_incidents_is_left_out() {
        let limits = find("fork-node-limits").unwrap();
        let all = |kind| limits.acts.iter().map(|act| skip(act.summary, kind)).collect::<Vec<_>>();
        assert!(was_played(limits, &[]));
        assert!(was_played(limits, &all(SkipKind::NotPlayed)[..1]));
        assert!(was_played(limits, &all(SkipKind::Unseen)), "silence was judged");
        assert!(!was_played(limits, &all(SkipKind::NotPlayed)));
        assert!(was_played(find("netlink-before-agent").unwrap(), &[]));
        let control = find("quiet-control").unwrap();
        assert!(was_played(control, &[skip(control.quiet[0].summary, SkipKind::NotPlayed)]));
    }
}
