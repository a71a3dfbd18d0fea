//! The part of the agent that tells the API server: sinks of a kind, findings for them, and what they count.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use probe_user::{
    config::{Config, load},
    enrich::subject::{Pod, Subject},
    findings::{
        Evidence, Finding, Incident, Severity, State,
        clock::{Clock, boot_now},
    },
    metrics::Metrics,
    send_test,
    signals::fork::ForkEvidence,
    sinks::Sinks,
    supervise::Supervisor,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    cluster::{Cluster, NODE},
    until,
};

/// What the agent is allowed, as it is deployed.
pub const RBAC: &str =
    include_str!("../../../../deploy/kustomize/components/events-and-conditions/rbac.yaml");

/// A sink called `test`, at work.
pub struct Tells {
    sinks: Sinks,
    metrics: Arc<Metrics>,
    config: Config,
    _supervisor: Supervisor,
}

/// The command line of send-test.
#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: send_test::Args,
}

impl Tells {
    /// A sink of a kind, with its spool below `state`.
    pub fn start(cluster: &Cluster, kind: &str, state: &TempDir) -> Result<Self> {
        let settings = cluster.settings(&format!("sinks.test.{kind}"));
        let config = format!(
            "[output]\nto = 'none'\n[spool]\ndir = {:?}\n[sinks.test.batch]\nlongest_pause = '1s'\n{settings}",
            state.path()
        );
        let config = load::parse("test", &config)?;
        let metrics = Arc::new(Metrics::new()?);
        let mut supervisor = Supervisor::new(Arc::clone(&metrics));
        let sinks = Sinks::of(&config, false, &metrics, &mut supervisor)?;
        Ok(Self { sinks, metrics, config, _supervisor: supervisor })
    }

    pub fn finding(&self, finding: &Finding) {
        self.sinks.outlets.finding(finding.clone());
    }

    /// Records with this outcome.
    pub fn count(&self, outcome: &str) -> u64 {
        self.metrics.sink_records.with_label_values(&["test", outcome]).get()
    }

    /// Waits until so many records have this outcome.
    pub fn counts(&self, outcome: &str, records: u64) -> Result<()> {
        until(&format!("{records} are {outcome}"), || {
            let count = self.count(outcome);
            ensure!(count == records, "{count} are");
            Ok(())
        })
    }

    /// Waits until it failed for a reason.
    pub fn fails(&self, reason: &str) -> Result<()> {
        let count = self.metrics.sink_failures.with_label_values(&["test", reason]);
        let before = count.get();
        until(&format!("it fails by {reason}"), || {
            ensure!(count.get() > before, "it does not");
            Ok(())
        })
    }

    /// What send-test says of it.
    pub fn says(&self) -> Result<String> {
        let args = Command::parse_from(["send-test"]).args;
        let mut outcomes = send_test::outcomes(&args, &self.config)?;
        Ok(outcomes.next().context("nothing is tried")?.line)
    }

    /// Ends it as the agent does, and tells how.
    pub fn end(self) -> Result<()> {
        for ended in self.sinks.finish(Duration::from_secs(60)) {
            ended.how?;
        }
        Ok(())
    }
}

/// A finding of this node that fires now.
pub fn finding(rule: &'static str, number: usize, pod: Option<(&str, &str)>) -> Finding {
    let now = Clock::now().wall(boot_now());
    let pod = pod.map(|(name, uid)| Pod {
        name: Some(name.into()),
        namespace: Some("shop".into()),
        uid: uid.into(),
        ..Pod::default()
    });
    let mut subject = Subject::default();
    subject.identity.pod = pod;
    Finding {
        id: format!("{rule}-{number:016x}"),
        revision: 1,
        state: State::Firing,
        signal: "fork",
        rule,
        severity: Severity::Warning,
        summary: format!("somebody cannot fork ({number})"),
        advice: "Look.",
        first_seen: now,
        last_seen: now,
        flaps: 0,
        incident: Incident::default(),
        subject,
        evidence: Evidence::Fork(ForkEvidence::default()),
    }
}

/// Its next revision.
pub fn next(finding: &Finding, state: State, severity: Severity) -> Finding {
    let last_seen = Clock::now().wall(boot_now());
    Finding { revision: finding.revision + 1, state, severity, last_seen, ..finding.clone() }
}

/// The node that the agent is on, with what a kubelet says of it.
pub fn node() -> Value {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE},
        "status": {"conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "well",
            "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    })
}
