//! Another configuration while the agent runs: all of it that can be, or nothing.

use super::{notify::Notify, ready, start::Agent};
use crate::{
    cli::say, config::load::ConfigError, metrics::reload::Outcome, probe::classify::chain,
    sinks::StartError,
};

/// Why the old configuration stays.
#[derive(Debug, thiserror::Error)]
enum Rejected {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Sinks(#[from] StartError),
}

/// What came into force, and what waits for a restart.
struct Applied {
    now: Vec<String>,
    waiting: Vec<String>,
}

impl Agent {
    /// Somebody asks for it: reads the configuration again, and has the sinks open their files again.
    pub fn reload_asked(&mut self) {
        self.reload();
        self.sinks.reopen();
    }

    /// Reads the configuration again when its file is another one.
    pub fn reload_when_stale(&mut self) {
        if self.settings.is_stale() {
            self.reload();
        }
    }

    fn reload(&mut self) {
        if let Some(notifier) = &mut self.notifier {
            notifier.send(&Notify::Reloading);
        }
        let (outcome, words) = match self.take_over() {
            Ok(Applied { now, waiting }) => {
                let outcome = if now.is_empty() { Outcome::Unchanged } else { Outcome::Applied };
                (outcome, words(&now, &waiting))
            }
            Err(error) => (
                Outcome::Rejected,
                format!("configuration rejected, the old one stays: {}", chain(&error)),
            ),
        };
        say(&words);
        self.metrics.reload.observe(outcome);
        if let Some(notifier) = &mut self.notifier {
            notifier.send(&Notify::Ready(&ready::status(&self.coverage)));
        }
    }

    fn take_over(&mut self) -> Result<Applied, Rejected> {
        let next = self.settings.read_again()?;
        // The one thing that can still fail comes first.
        let sinks = self.sinks.change(&next.config, &self.metrics, &mut self.supervisor)?;
        self.pipeline.reconfigure(&next.config);
        self.settings.config = next.config;
        let now = next.changed.into_iter().chain(sinks.words()).collect();
        Ok(Applied { now, waiting: next.waiting })
    }
}

fn words(now: &[String], waiting: &[String]) -> String {
    let now = match now {
        [] => "configuration unchanged".into(),
        keys => format!("configuration reloaded: {}", keys.join(", ")),
    };
    match waiting {
        [] => now,
        keys => format!("{now}; only a restart changes {}", keys.join(", ")),
    }
}
