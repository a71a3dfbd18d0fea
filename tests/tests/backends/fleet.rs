//! A fleet of agents and one backend, when something that all nodes depend on fails: every node fires at the same
//! moment, tells it again, and resolves. Run with `--nocapture` it prints the table of docs/SCALE.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use probe_user::{
    config::load,
    metrics::Metrics,
    sinks::{
        Plan, Sinks,
        kinds::{SinkConfig, Site},
        queue::Outlet,
        record::{Meta, Record},
        spool::Limits,
    },
    supervise::{End, Part, Supervisor},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    loki,
    support::{
        HANG_GUARD,
        agent::Agent,
        capture::capture,
        front::{AGENT, Account, Front, Trouble},
        http, until,
    },
};

/// Nodes.
const NODES: usize = 500;
/// Findings of a node.
const FINDINGS: usize = 4;
/// Records of each finding: it fires, is told again, and resolves.
const REVISIONS: usize = 3;
const ALL: usize = NODES * FINDINGS * REVISIONS;
const SINK: &str = "loki";
const PART: Part = Part { name: "sink-loki", end: End::Never, help: "", turns: None };

/// The sink of a node, and what it stands on.
struct Node {
    name: String,
    /// The near end of the sink; closed by being dropped.
    outlets: Vec<Outlet>,
    sinks: Sinks,
    _supervisor: Supervisor,
}

impl Node {
    fn name(number: usize) -> String {
        format!("node-{number:04}.example.com")
    }

    fn start(
        number: usize,
        front: &Front,
        spools: &TempDir,
        metrics: &Arc<Metrics>,
    ) -> Result<Self> {
        let name = Self::name(number);
        let config = format!(
            "[sinks.{SINK}.batch]\nlongest_pause = '2s'\ntimeout = '300s'\n[sinks.{SINK}.loki]\n\
             url = 'http://{}/insert'\nheaders.{AGENT} = '{name}'",
            front.address()
        );
        let config = load::parse(&name, &config)?;
        let config = config.sinks.0.get(SINK).context("there is no such sink")?;
        let mut supervisor = Supervisor::new(Arc::clone(metrics));
        let mut sinks = Sinks::default();
        let plan = plan(&name, config, spools).map_err(anyhow::Error::msg)?;
        sinks.start(plan, metrics, &mut supervisor)?;
        Ok(Self { name, outlets: sinks.outlets.take(), sinks, _supervisor: supervisor })
    }
}

/// As an agent makes it of its configuration, but for the name of the node, and soon ready to end.
fn plan(node: &str, config: &SinkConfig, spools: &TempDir) -> Result<Plan, String> {
    let backend = config.open(&Site { sink: SINK, node: node.to_owned() })?;
    let mut policy = config.policy().ok_or("it has no kind")?;
    policy.last_words = Duration::from_millis(100);
    let limits = Limits::from(&config.spool);
    let spool = Some((spools.path().join(node), limits));
    let filter = config.filter.filter();
    Ok(Plan { name: SINK, part: PART, filter, patient: false, policy, spool, backend })
}

/// All nodes, and a page of metrics for all: their sums.
struct Fleet {
    nodes: Vec<Node>,
    spools: TempDir,
    metrics: Arc<Metrics>,
}

impl Fleet {
    fn start(front: &Front) -> Result<Self> {
        let (spools, metrics) = (tempfile::tempdir()?, Arc::new(Metrics::new()?));
        let mut fleet = Self { nodes: Vec::new(), spools, metrics };
        fleet.up(front)?;
        Ok(fleet)
    }

    fn up(&mut self, front: &Front) -> Result<()> {
        let start = |number| Node::start(number, front, &self.spools, &self.metrics);
        self.nodes = (0..NODES).map(start).collect::<Result<_>>()?;
        Ok(())
    }

    /// Ends all of them at once, whatever still waits.
    fn down(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.outlets.clear());
        for node in self.nodes.drain(..) {
            node.sinks.finish(HANG_GUARD);
        }
    }

    /// Every node finds the same at the same moment.
    fn find(&self, findings: &[Value]) -> Result<()> {
        for node in &self.nodes {
            for finding in findings {
                let record = Arc::new(record(&node.name, finding)?);
                node.outlets.iter().for_each(|outlet| outlet.send(&record));
            }
        }
        Ok(())
    }

    fn count(&self, outcome: &str) -> u64 {
        self.metrics.sink_records.with_label_values(&[SINK, outcome]).get()
    }

    fn has_written(&self, records: usize) -> Result<()> {
        until(&format!("{records} records were taken"), || {
            let written = self.count("written");
            ensure!(written >= records as u64, "{written} of {records} are");
            Ok(())
        })
    }
}

/// What an agent finds: as many findings, by their lines of JSON, each when it fires, is told again and resolves.
fn found() -> Result<[Vec<Value>; REVISIONS]> {
    let agent = Agent::with_sink("file", "path = 'found.json'")?;
    agent.configure(&format!("[sinks.test.file]\npath = {:?}", agent.path("found.json")))?;
    agent.replay(&capture(FINDINGS as u64)?)?;
    let lines = fs::read_to_string(agent.path("found.json"))?;
    let found: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of_state = |state: &str, revision: usize| -> Vec<Value> {
        let mut of_state: Vec<_> =
            found.iter().filter(|finding| finding["state"] == state).cloned().collect();
        of_state.iter_mut().for_each(|finding| finding["revision"] = revision.into());
        of_state
    };
    // Told again, a finding is what it was, with another number.
    let all = [of_state("firing", 1), of_state("firing", 2), of_state("resolved", 3)];
    ensure!(all.iter().all(|part| part.len() == FINDINGS), "it found {lines}");
    Ok(all)
}

/// A finding as another node has it: under an id of that node's own, as long as it was.
fn record(node: &str, finding: &Value) -> Result<Record> {
    let id = finding["id"].as_str().context("a finding has no id")?;
    let (rule, hash) = id.rsplit_once('-').context("an id has no hash")?;
    let mut own = u64::from_str_radix(hash, 16)?;
    node.bytes().for_each(|byte| own = (own ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let own = format!("{rule}-{own:016x}");
    let meta: Meta = serde_json::from_value(json!({
        "id": format!("{own}-{}", finding["revision"]), "kind": "finding",
        "at": finding["last_seen"], "signal": finding["signal"], "rule": finding["rule"],
        "severity": finding["severity"], "state": finding["state"], "summary": finding["summary"],
    }))?;
    Ok(Record::of_json(meta, finding.to_string().replace(id, &own)))
}

/// How often the backend has each record of each node, by its own query.
fn stored(port: u16) -> Result<BTreeMap<(String, String), usize>> {
    let query = "/select/logsql/query?limit=100000&query=*%20%7C%20fields%20node,record_id";
    let mut stored = BTreeMap::new();
    for line in http::get(port, query)?.text()?.lines() {
        let line: Value = serde_json::from_str(line)?;
        let field = |name: &str| line[name].as_str().map(str::to_owned);
        let key = field("node").zip(field("record_id"));
        *stored.entry(key.with_context(|| format!("no record: {line}"))?).or_default() += 1;
    }
    Ok(stored)
}

fn print(account: &Account, json: usize, records: usize, doubles: usize) {
    let requests: usize = account.taken.values().sum();
    let most = account.taken.values().max().copied().unwrap_or_default();
    let per = |all: usize, by: usize| all.div_ceil(by.max(1));
    println!("nodes                                  {NODES}");
    println!("records that were found                {ALL}");
    println!("requests the backend took              {requests}");
    println!("  of them, answers were lost           {}", account.lost_answers);
    println!("requests answered with 429             {}", account.busy);
    println!("requests of one node, at most          {most}");
    println!("records the backend has                {records}");
    println!("  of them, doubles                     {doubles} ({} %)", doubles * 100 / records);
    println!("bytes of a record's JSON               {}", per(json, ALL));
    println!("bytes of a body, for a record          {}", per(account.bodies, records));
    println!("bytes of headers, for a request        {}", per(account.heads, requests));
}

#[test]
fn an_outage_that_all_nodes_see_is_told_by_each() -> Result<()> {
    let mut server = loki::server()?;
    let front = Front::start(server.site().address(0))?;
    let mut fleet = Fleet::start(&front)?;
    let [fires, again, resolves] = found()?;

    // The backend has no room at first.
    front.trouble(Trouble::Busy);
    fleet.find(&fires)?;
    fleet.has_written(ALL / 3)?;

    // Then it is away, and every agent is updated meanwhile; when both are back, answers are lost.
    server.down()?;
    front.trouble(Trouble::None);
    fleet.find(&again)?;
    until("every agent tried", || front.found_no_server(NODES))?;
    fleet.down();
    front.trouble(Trouble::LostAnswer);
    server.up()?;
    fleet.up(&front)?;
    fleet.has_written(ALL / 3 * 2)?;

    front.trouble(Trouble::None);
    fleet.find(&resolves)?;
    fleet.has_written(ALL)?;

    let (mut expected, mut json) = (BTreeSet::new(), 0);
    for node in &fleet.nodes {
        for finding in [&fires, &again, &resolves].into_iter().flatten() {
            let record = record(&node.name, finding)?;
            json += record.json().len();
            expected.insert((node.name.clone(), record.meta.id));
        }
    }
    ensure!(expected.len() == ALL, "{} ids of {ALL} differ", expected.len());
    let stored = until("all of it can be read", || {
        let stored = stored(server.port())?;
        let missing = expected.iter().filter(|key| !stored.contains_key(key)).count();
        ensure!(missing == 0, "{missing} of {ALL} records are not there");
        Ok(stored)
    })?;
    let strange: Vec<_> = stored.keys().filter(|key| !expected.contains(*key)).collect();
    ensure!(strange.is_empty(), "nobody found {strange:?}");
    for outcome in ["dropped", "closed", "refused", "expired"] {
        ensure!(fleet.count(outcome) == 0, "{outcome}: {}", fleet.count(outcome));
    }
    let (account, records) = (front.account(), stored.values().sum::<usize>());
    let doubles = records - ALL;
    ensure!(
        doubles <= account.lost_answers * FINDINGS,
        "{doubles} doubles of {} lost answers",
        account.lost_answers
    );
    print(&account, json, records, doubles);
    Ok(())
}
