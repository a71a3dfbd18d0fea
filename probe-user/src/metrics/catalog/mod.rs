//! The registry of metrics: what each is, how many series it can make, and what to do when it moves.
//! Registration derives from it, and so does docs/metrics.md (`cargo xtask docs`).
//!
//! To add a metric: an entry in the file of its section, and a field that registers it. Labels take
//! their values from registries of the program, never from a node.

use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, core::Collector,
};

/// Declares metrics, and the slice of them in the order of the page.
macro_rules! catalog {
    ($($name:ident: $spec:expr;)+) => {
        $(pub static $name: $crate::metrics::catalog::Spec = $spec;)+

        /// All of this section.
        pub static ALL: &[&$crate::metrics::catalog::Spec] = &[$(&$name),+];
    };
}

pub mod agent;
pub mod detection;
pub mod kernel;
mod page;
pub mod process;
pub mod sinks;

pub use page::page;

/// Upper bounds of waits (s).
const WAITS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Most series of a node, whatever happens on it.
pub const MOST_SERIES: usize = 2_000;

/// Series that belong together.
pub struct Section {
    pub title: &'static str,
    /// What they are about, as the first sentence of the section.
    pub about: &'static str,
    pub metrics: &'static [&'static Spec],
}

/// All metrics, in the order of the page.
pub static SECTIONS: [Section; 5] = [
    Section {
        title: "Findings and events",
        about: "What the agent takes in, and what it finds.",
        metrics: detection::ALL,
    },
    Section {
        title: "Kernel side",
        about: "What the hooks see, what they lose, and what they cost.",
        metrics: kernel::ALL,
    },
    Section { title: "Sinks", about: "Whether findings arrive.", metrics: sinks::ALL },
    Section { title: "The agent", about: "Whether it works as it should.", metrics: agent::ALL },
    Section {
        title: "The process",
        about: "What the agent takes of the node. The names are those that every Prometheus client has.",
        metrics: process::ALL,
    },
];

/// A metric.
pub struct Spec {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    /// Most sets of label values.
    pub most: usize,
    /// What it means; a scrape says it too.
    pub help: &'static str,
    /// What to do when it moves.
    pub moves: &'static str,
}

/// Types of metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// With these upper bounds of its buckets; one more takes the rest.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As the exposition format has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }

    /// Series of one set of label values: a histogram has its buckets, a sum and a count.
    fn series(self) -> usize {
        match self {
            Self::Counter | Self::Gauge => 1,
            Self::Histogram(bounds) => bounds.len() + 3,
        }
    }
}

impl Spec {
    /// Most series it can make.
    #[must_use]
    pub fn series(&self) -> usize {
        self.most * self.kind.series()
    }

    /// Its base unit, as Prometheus names tell it.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        ["seconds", "bytes", "info"]
            .into_iter()
            .find(|unit| name.ends_with(&format!("_{unit}")))
            .map_or("", |unit| if unit == "info" { "" } else { unit })
    }

    /// Makes it and adds it to `registry`.
    ///
    /// # Errors
    /// When another one has its name, which a test excludes.
    pub fn register<C: Make>(&self, registry: &Registry) -> prometheus::Result<C> {
        let metric = C::make(self)?;
        registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    fn histogram_opts(&self) -> HistogramOpts {
        let bounds = match self.kind {
            Kind::Histogram(bounds) => bounds.to_vec(),
            Kind::Counter | Kind::Gauge => Vec::new(),
        };
        HistogramOpts::new(self.name, self.help).buckets(bounds)
    }
}

/// What a [`Spec`] can become.
pub trait Make: Collector + Clone + Sized + 'static {
    /// Makes it.
    ///
    /// # Errors
    /// When its name or a label is not allowed.
    fn make(spec: &Spec) -> prometheus::Result<Self>;
}

macro_rules! make {
    ($($one:ident, $many:ident, $opts:ident;)+) => {
        $(
            impl Make for $one {
                fn make(spec: &Spec) -> prometheus::Result<Self> {
                    $one::with_opts(spec.$opts())
                }
            }

            impl Make for $many {
                fn make(spec: &Spec) -> prometheus::Result<Self> {
                    $many::new(spec.$opts(), spec.labels)
                }
            }
        )+
    };
}

make! {
    Counter, CounterVec, opts;
    IntCounter, IntCounterVec, opts;
    Gauge, GaugeVec, opts;
    IntGauge, IntGaugeVec, opts;
    Histogram, HistogramVec, histogram_opts;
}

/// Every metric.
pub fn all() -> impl Iterator<Item = &'static Spec> {
    SECTIONS.iter().flat_map(|section| section.metrics).copied()
}

#[cfg(test)]
mod tests;
