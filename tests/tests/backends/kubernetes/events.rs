//! Findings as Events, read back with kubectl.

use anyhow::{Context, Result, ensure};
use probe_user::findings::{Severity, State};
use serde_json::{Value, json};

use super::tells::{RBAC, Tells, finding, next, node};
use crate::support::{
    cluster::{Cluster, NODE},
    until,
};

const KIND: &str = "kubernetes_events";

impl Cluster {
    /// Events that nodeprobe wrote in a namespace.
    fn events(&self, namespace: &str) -> Result<Vec<Value>> {
        let ours = ["--namespace", namespace, "--field-selector", "source=nodeprobe"];
        let mut list = self.get(&[&["events"], &ours[..]].concat())?;
        list["items"].as_array_mut().map(std::mem::take).context("no list")
    }

    /// The only such Event, once it has this count.
    fn event(&self, namespace: &str, count: u64) -> Result<Value> {
        until(&format!("there is an Event with count {count}"), || {
            let mut events = self.events(namespace)?;
            ensure!(events.len() == 1, "{events:?}");
            ensure!(events[0]["count"] == count, "{events:?}");
            Ok(events.remove(0))
        })
    }
}

fn ready() -> Result<(Cluster, tempfile::TempDir)> {
    let cluster = Cluster::start()?;
    cluster.create(&node())?;
    Ok((cluster, tempfile::tempdir()?))
}

#[test]
fn one_event_for_all_revisions_on_the_pod_and_on_the_node() -> Result<()> {
    let (cluster, state) = ready()?;
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f8c7b9"});
    let uid = cluster.pod("web-0", NODE, &owner)?;
    let tells = Tells::start(&cluster, KIND, &state)?;
    let of_pod = finding("fork-failures", 1, Some(("web-0", &uid)));
    let of_node = finding("fork-headroom", 2, None);

    // Without the rights it says which are missing, keeps all, and is well as soon as it has them.
    tells.finding(&of_pod);
    tells.finding(&of_node);
    tells.fails("auth")?;
    let said = tells.says()?;
    for words in [
        "not taken (auth)",
        "cannot patch resource \"events\" in API group \"\" in the namespace \"default\"",
        "let a ClusterRole allow it to create and patch events",
    ] {
        ensure!(said.contains(words), "{said}");
    }
    cluster.kubectl(&["apply", "-f", "-"], RBAC)?;
    tells.counts("written", 2)?;

    let event = cluster.event("shop", 1)?;
    ensure!(event["involvedObject"]["uid"] == *uid && event["type"] == "Warning", "{event}");
    ensure!(event["reason"] == "ForkFailures" && event["source"]["host"] == NODE, "{event}");
    ensure!(event["firstTimestamp"].is_string(), "{event}");
    ensure!(event["metadata"]["annotations"]["nodeprobe/advice"] == "Look.", "{event}");
    let described = cluster.kubectl(&["describe", "pod", "web-0", "--namespace=shop"], "")?;
    ensure!(described.contains("somebody cannot fork (1)"), "{described}");
    cluster.event("default", 1)?;
    let described = cluster.kubectl(&["describe", "node", NODE], "")?;
    ensure!(described.contains("ForkHeadroom"), "{described}");

    let again = next(&of_pod, State::Firing, Severity::Warning);
    let worse = next(&again, State::Firing, Severity::Critical);
    tells.finding(&again);
    tells.counts("written", 3)?;
    ensure!(cluster.event("shop", 1)? == event, "it was written although it says the same");
    tells.finding(&worse);
    let critical = cluster.event("shop", 3)?;
    ensure!(critical["metadata"]["annotations"]["nodeprobe/severity"] == "critical", "{critical}");
    tells.finding(&next(&worse, State::Resolved, Severity::Critical));
    let over = cluster.event("shop", 4)?;
    ensure!(over["type"] == "Normal", "{over}");
    ensure!(over["message"] == "over: somebody cannot fork (1)", "{over}");
    ensure!(over["metadata"]["uid"] == event["metadata"]["uid"], "it is another Event");
    tells.end()
}

#[test]
fn of_many_findings_at_once_some_are_left_out_and_counted() -> Result<()> {
    const MANY: u64 = 60;
    let (cluster, state) = ready()?;
    cluster.kubectl(&["apply", "-f", "-"], RBAC)?;
    let tells = Tells::start(&cluster, KIND, &state)?;
    for number in 0..MANY {
        tells.finding(&finding("fork-failures", number as usize, None));
    }
    until("all have come to their end", || {
        ensure!(tells.count("written") + tells.count("left_out") == MANY);
        Ok(())
    })?;
    let written = tells.count("written");
    ensure!((25..MANY).contains(&written), "{written} were written");
    ensure!(cluster.events("default")?.len() as u64 == written, "another number is there");
    tells.end()
}

#[test]
fn one_for_a_namespace_that_is_gone_holds_up_no_other() -> Result<()> {
    let (cluster, state) = ready()?;
    cluster.kubectl(&["apply", "-f", "-"], RBAC)?;
    let tells = Tells::start(&cluster, KIND, &state)?;
    let mut gone = finding("fork-failures", 1, Some(("web-0", "u1")));
    let pod = gone.subject.identity.pod.as_mut().context("it has a pod")?;
    pod.namespace = Some("gone".into());
    tells.finding(&gone);
    tells.finding(&finding("fork-failures", 2, None));
    tells.counts("written", 1)?;
    tells.counts("refused", 1)?;
    cluster.event("default", 1)?;
    tells.end()
}

#[test]
fn a_server_that_is_away_and_a_token_that_expired() -> Result<()> {
    let (mut cluster, state) = ready()?;
    cluster.kubectl(&["apply", "-f", "-"], RBAC)?;
    let token = cluster.api.site().path("token");
    let tells = Tells::start(&cluster, KIND, &state)?;
    cluster.api.kill()?;
    tells.finding(&finding("fork-failures", 1, None));
    tells.fails("connect")?;
    // What waits outlives the agent.
    tells.end()?;
    std::fs::write(&token, "expired\n")?;
    cluster.api.up()?;
    let tells = Tells::start(&cluster, KIND, &state)?;
    tells.fails("auth")?;
    let said = tells.says()?;
    ensure!(said.contains("is the token one of this cluster, and not expired"), "{said}");
    std::fs::write(&token, "agent\n")?;
    tells.counts("written", 1)?;
    cluster.event("default", 1)?;
    tells.end()
}
