//! What every sink must do, whatever happens between it and its other side: a finding that was found
//! arrives, and what became of it comes after it.

use anyhow::{Context, Result, ensure};

use crate::{
    sides::{self, Answers, Scheme, Side},
    support::{
        agent::{Agent, ON_THE_WAY, WAITS},
        capture::capture,
        proxy::{Fault, Proxy},
        until,
    },
};

/// Soon again, and soon given up.
const HASTE: &str = "[sinks.test.batch]\nlongest_pause = '1s'\ntimeout = '3s'";
/// Soon again, in batches so small that a slow server on a busy machine takes them.
const SMALL: &str = "[sinks.test.batch]\nlongest_pause = '1s'\nrecords = 100";

/// An agent whose sink finds the other side at this address.
fn agent(side: &dyn Side, address: &str, more: &str) -> Result<Agent> {
    Agent::new(&sink(side, Scheme::Plain, address, more))
}

fn sink(side: &dyn Side, scheme: Scheme, address: &str, more: &str) -> String {
    let (kind, settings) = side.sink(scheme, address);
    format!("{more}\n[sinks.test.{kind}]\n{settings}\n")
}

/// Waits until all of it came; what came too late is as good as lost.
fn all_came(side: &dyn Side, expected: &[String]) -> Result<()> {
    until("all records came", || side.came(expected))
}

/// 10,000 findings while the other side is away; it is back when the agent has ended, and gets all from
/// the next agent.
fn away_for_the_whole_incident(mut side: Box<dyn Side>) -> Result<()> {
    let agent = agent(&*side, &side.address(), SMALL)?;
    side.down()?;
    let run = agent.replay(&capture(10_000)?)?;
    ensure!(run.ids.len() == 20_000, "{} records were found", run.ids.len());
    ensure!(run.log.contains(WAITS), "the agent does not say that something waits");
    side.up()?;
    agent.drain()?;
    all_came(&*side, &run.ids)
}

/// The agent is killed twice: while it finds, and when it has found all. Nothing that was spooled is lost.
fn killed(mut side: Box<dyn Side>) -> Result<()> {
    let expected = Agent::new("")?.replay(&capture(2_000)?)?.ids;
    let agent = agent(&*side, &side.address(), SMALL)?;
    side.down()?;
    let mut running = agent.start(&capture(2_000)?)?;
    running.finds(3_000)?;
    let found = running.kill()?.ids.len();
    side.up()?;
    agent.drain()?;
    let spooled = &expected[..found.saturating_sub(ON_THE_WAY)];
    all_came(&*side, spooled).context("after the first kill")?;

    side.down()?;
    let running = agent.start(&capture(2_000)?)?;
    let last = expected.last().context("nothing is expected")?;
    agent.has_spooled(last)?;
    running.kill()?;
    side.up()?;
    agent.drain()?;
    all_came(&*side, &expected).context("after the second kill")
}

/// All that a network and a server in trouble do, one after the other, and the agent killed after each.
fn trouble_on_the_way(side: Box<dyn Side>) -> Result<()> {
    let mut faults = vec![Fault::Close, Fault::Garbage, Fault::Cut];
    if side.answers() != Answers::Never {
        faults.push(Fault::Hang);
    }
    if side.answers() == Answers::Http {
        faults.extend([
            Fault::Http("429 Too Many Requests\r\nRetry-After: 1"),
            Fault::Http("500 Internal Server Error"),
            Fault::Http("503 Service Unavailable"),
        ]);
    }
    let proxy = Proxy::start(side.address())?;
    let agent = agent(&*side, &proxy.address(), HASTE)?;
    let found = capture(500)?;
    let expected = Agent::new("")?.replay(&found)?.ids;
    proxy.fault(Fault::Close);
    let running = agent.start(&found)?;
    agent.has_spooled(expected.last().context("nothing is expected")?)?;
    running.kill()?;
    for fault in faults {
        proxy.fault(fault);
        let mut running = agent.start(&capture(0)?)?;
        until(&format!("{fault:?} twice"), || {
            if running.is_over()? {
                running = agent.start(&capture(0)?)?;
            }
            proxy.has_done(2)
        })?;
        running.kill()?;
    }
    // TLS with somebody who speaks none.
    proxy.fault(Fault::None);
    agent.configure(&sink(&*side, Scheme::Tls, &proxy.address(), HASTE))?;
    let log = agent.replay(&capture(0)?)?.log;
    ensure!(log.contains(WAITS), "without TLS nothing is handed over:\n{log}");
    agent.configure(&sink(&*side, Scheme::Plain, &proxy.address(), HASTE))?;
    agent.drain()?;
    all_came(&*side, &expected)
}

macro_rules! sides {
    ($($side:ident: $($test:ident),+;)+) => { $(
        mod $side {
            use super::*;
            $(
                #[test]
                fn $test() -> Result<()> {
                    super::$test(sides::$side()?)
                }
            )+
        }
    )+ };
}

sides! {
    alertmanager: away_for_the_whole_incident, killed, trouble_on_the_way;
    elasticsearch: away_for_the_whole_incident, killed, trouble_on_the_way;
    // A socket of datagrams, which nothing can be put before.
    journald: away_for_the_whole_incident, killed;
    kafka_broker: away_for_the_whole_incident, killed, trouble_on_the_way;
    loki: away_for_the_whole_incident, killed, trouble_on_the_way;
    nats_jetstream: away_for_the_whole_incident, killed, trouble_on_the_way;
    otlp_grpc: away_for_the_whole_incident, killed, trouble_on_the_way;
    otlp_http: away_for_the_whole_incident, killed, trouble_on_the_way;
    syslog: away_for_the_whole_incident, killed, trouble_on_the_way;
    webhook: away_for_the_whole_incident, killed, trouble_on_the_way;
}
