//! An agent, and what it may speak of.

use std::ffi::OsString;

use anyhow::{Result, ensure};

use crate::agent::Agent;
use crate::expect::Expectation;
use crate::finding::Finding;
use crate::interrupt;
use crate::props::veth::Veth;
use crate::report::Line;
use crate::session::{MOST_RSS_KIB, Setup, no_false_alarm};

/// An agent, and what it may speak of.
pub struct Watched<'a> {
    setup: &'a Setup,
    pub agent: Agent,
    provoked: Vec<Expectation>,
}

impl<'a> Watched<'a> {
    /// Starts an agent with a configuration (TOML).
    pub fn start(setup: &'a Setup, config: &str) -> Result<Self> {
        Self::start_with(setup, config, &setup.agent_args)
    }

    /// [`Self::start`] with other arguments than the run's.
    pub fn start_with(setup: &'a Setup, config: &str, args: &[OsString]) -> Result<Self> {
        interrupt::check()?;
        let agent = Agent::start(&setup.nodeprobe, config, args, &setup.stage.reporter)?;
        Ok(Self { setup, agent, provoked: Vec::new() })
    }

    /// Allows findings about what is expected here, whether they come or not.
    pub fn may_say(&mut self, expected: Expectation) {
        self.provoked.push(expected);
    }

    /// Waits for a finding.
    pub fn expect(&mut self, expected: Expectation) -> Result<Finding> {
        let arrival = self.agent.expect(&expected)?;
        self.may_say(expected);
        Ok(arrival.finding)
    }

    /// Filters toggle on an interface, which is found; then both are gone.
    pub fn finds_a_toggle(&mut self) -> Result<()> {
        let veth = Veth::create()?;
        for rule in ["tc-rewrite-rate", "tc-asymmetry"] {
            self.may_say(veth.about(rule, "calico-node"));
        }
        let mut calico = veth.actor(&self.setup.stage, "calico-node", "tc-toggle", &[])?;
        calico.first_bad_act()?;
        self.expect(veth.about("tc-handle-toggle", "calico-node"))?;
        Ok(())
    }

    /// Whether it knows netlink sockets by their inode, and so those whose opening it did not see.
    pub fn knows_inodes(&self) -> Result<bool> {
        Ok(!self.agent.uses_rung("netlink", "sockets", "tracepoint")?)
    }

    /// Fails when it has said anything else.
    pub fn said_nothing_else(&self) -> Result<()> {
        no_false_alarm(&self.agent.findings(), &self.provoked)
    }

    /// Checks its account and what it costs, stops it, and looks at all it ever said.
    pub fn end(self) -> Result<Vec<Finding>> {
        self.agent.reconciles()?;
        let stats = self.agent.stats()?;
        self.setup.stage.reporter.line(&Line::Stats(stats));
        ensure!(stats.rss_kib < MOST_RSS_KIB, "the agent has {} KiB resident", stats.rss_kib);
        let said = self.agent.stop()?;
        no_false_alarm(&said, &self.provoked)?;
        Ok(said)
    }
}
