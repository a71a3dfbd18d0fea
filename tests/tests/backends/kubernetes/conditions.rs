//! Conditions of the node, read back with kubectl.

use anyhow::{Context, Result, ensure};
use probe_user::findings::{Finding, Severity, State};
use serde_json::Value;

use super::tells::{RBAC, Tells, finding, next, node};
use crate::support::{
    cluster::{Cluster, NODE},
    until,
};

const KIND: &str = "kubernetes_conditions";
const FORKS: &str = "NodeprobeForkExhaustion";

impl Cluster {
    /// The node's condition of a type.
    fn condition(&self, kind: &str) -> Result<Value> {
        let node = self.get(&["node", NODE])?;
        let mut conditions = node["status"]["conditions"].as_array().into_iter().flatten();
        let condition = conditions.find(|condition| condition["type"] == kind);
        condition.cloned().with_context(|| format!("there is no {kind}: {}", node["status"]))
    }

    /// The same, once it has this status.
    fn is(&self, kind: &str, status: &str) -> Result<Value> {
        until(&format!("{kind} is {status}"), || {
            let condition = self.condition(kind)?;
            ensure!(condition["status"] == status, "{condition}");
            Ok(condition)
        })
    }
}

/// Times are to the second and in order as text.
fn changed_at(condition: &Value) -> &str {
    condition["lastTransitionTime"].as_str().unwrap_or_default()
}

fn over(finding: &Finding) -> Finding {
    next(finding, State::Resolved, finding.severity)
}

#[test]
fn it_is_true_while_a_finding_fires_and_false_again() -> Result<()> {
    let (cluster, state) = (Cluster::start()?, tempfile::tempdir()?);
    cluster.create(&node())?;
    let ready = cluster.condition("Ready")?;
    let tells = Tells::start(&cluster, KIND, &state)?;
    tells.fails("auth")?;
    let said = tells.says()?;
    for words in [
        "cannot patch resource \"nodes/status\"",
        "let a ClusterRole allow it to patch nodes/status",
    ] {
        ensure!(said.contains(words), "{said}");
    }
    cluster.kubectl(&["apply", "-f", "-"], RBAC)?;
    let quiet = cluster.is(FORKS, "False")?;
    ensure!(quiet["reason"] == "NoForkExhaustion", "{quiet}");
    for kind in ["NodeprobeQdiscFlapping", "NodeprobeFdLeak"] {
        cluster.is(kind, "False")?;
    }
    let said = tells.says()?;
    ensure!(said.contains("ok") && cluster.condition(FORKS)? == quiet, "{said}");

    let [first, second] = [1, 2].map(|number| finding("fork-failures", number, None));
    let note = next(&finding("fd-leak", 3, None), State::Firing, Severity::Info);
    for one in [&first, &second, &note] {
        tells.finding(one);
    }
    let firing = cluster.is(FORKS, "True")?;
    ensure!(firing["reason"] == "ForkFailures", "{firing}");
    ensure!(changed_at(&firing) >= changed_at(&quiet), "{quiet}, then {firing}");
    tells.finding(&over(&first));
    tells.counts("written", 4)?;
    ensure!(cluster.condition(FORKS)? == firing, "another finding still fires");
    tells.finding(&over(&second));
    let quiet = cluster.is(FORKS, "False")?;
    ensure!(changed_at(&quiet) >= changed_at(&firing), "{firing}, then {quiet}");
    cluster.is("NodeprobeFdLeak", "False")?;
    ensure!(cluster.condition("Ready")? == ready, "what the kubelet says was changed");
    let described = cluster.kubectl(&["describe", "node", NODE], "")?;
    ensure!(described.contains(FORKS), "{described}");
    tells.end()
}

#[test]
fn an_agent_that_starts_again_and_a_server_that_was_away() -> Result<()> {
    let (mut cluster, state) = (Cluster::start()?, tempfile::tempdir()?);
    cluster.kubectl(&["apply", "-f", "-"], RBAC)?;
    // A node that is not there yet is waited for.
    let tells = Tells::start(&cluster, KIND, &state)?;
    tells.fails("other")?;
    cluster.create(&node())?;
    let quiet = cluster.is(FORKS, "False")?;
    tells.end()?;

    let tells = Tells::start(&cluster, KIND, &state)?;
    let said = until("the second tells it too", || {
        let said = cluster.condition(FORKS)?;
        ensure!(said["lastHeartbeatTime"] != quiet["lastHeartbeatTime"], "{said}");
        Ok(said)
    })?;
    ensure!(changed_at(&said) == changed_at(&quiet), "it is False since the first one");

    cluster.api.kill()?;
    tells.finding(&finding("fork-failures", 1, None));
    tells.fails("connect")?;
    cluster.api.up()?;
    cluster.is(FORKS, "True")?;
    tells.end()?;

    // What still holds fires anew, and the node is told so; that nothing holds is told first.
    let tells = Tells::start(&cluster, KIND, &state)?;
    let quiet = cluster.is(FORKS, "False")?;
    ensure!(changed_at(&quiet) > changed_at(&said), "{quiet}");
    tells.end()
}
