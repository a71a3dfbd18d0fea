//! Lookups that found nothing, by what was looked for.

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A process in /proc.
    Process,
    /// Path of a cgroup.
    Cgroup,
    /// Name of a container.
    Container,
    /// Name of a pod.
    Pod,
    /// Whose a network namespace is.
    Netns,
}

impl Lookup {
    /// All of them, for metric registration.
    pub const ALL: [Self; 5] =
        [Self::Process, Self::Cgroup, Self::Container, Self::Pod, Self::Netns];

    /// The lookup as a metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Cgroup => "cgroup",
            Self::Container => "container",
            Self::Pod => "pod",
            Self::Netns => "netns",
        }
    }
}

/// How many of each failed.
#[derive(Debug, Default)]
pub struct Misses([u64; Lookup::ALL.len()]);

impl Misses {
    /// Counts one that found nothing.
    pub fn count(&mut self, lookup: Lookup) {
        if let Some(count) = self.0.get_mut(lookup as usize) {
            *count += 1;
        }
    }

    /// How many there were.
    #[must_use]
    pub fn of(&self, lookup: Lookup) -> u64 {
        self.0.get(lookup as usize).copied().unwrap_or(0)
    }
}
