//! An interface's clsact and its BPF filters, by the real `tc`, the way Calico writes them.

use std::path::PathBuf;

use anyhow::Result;

use crate::exec;

/// The priority the kernel gives to the first filter added without one, and Calico's ever since.
pub const PRIORITY: &str = "49152";

/// A classic BPF program that lets everything pass, for machines that have no eBPF object at hand.
const PASS_BYTECODE: &str = "1,6 0 0 4294967295,";

/// Which way packets go through the filter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    /// Both, in the order Calico attaches them.
    pub const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    const fn word(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// An interface of the network namespace this thread is in.
pub struct Interface {
    name: String,
    program: Vec<String>,
}

impl Interface {
    /// `classifier` is an eBPF object with a section `classifier`.
    #[must_use]
    pub fn new(name: impl Into<String>, classifier: Option<&PathBuf>) -> Self {
        let program = match classifier {
            Some(object) => {
                vec!["obj".into(), object.display().to_string(), "sec".into(), "classifier".into()]
            }
            None => vec!["bytecode".into(), PASS_BYTECODE.into()],
        };
        Self { name: name.into(), program }
    }

    /// What a pod's creation writes: one qdisc, one filter each way.
    pub fn attach_first(&self) -> Result<()> {
        self.attach_clsact()?;
        Direction::BOTH.into_iter().try_for_each(|direction| self.add(direction))
    }

    /// Adds the clsact qdisc.
    pub fn attach_clsact(&self) -> Result<()> {
        exec::run("tc", &["qdisc", "add", "dev", &self.name, "clsact"]).map(drop)
    }

    /// Deletes the clsact qdisc and every filter in it.
    pub fn detach_clsact(&self) -> Result<()> {
        exec::run("tc", &["qdisc", "del", "dev", &self.name, "clsact"]).map(drop)
    }

    /// Adds a filter; the kernel chooses the next lower free priority.
    pub fn add_without_priority(&self, direction: Direction) -> Result<()> {
        self.write("add", direction, &[])
    }

    /// Adds a filter; the kernel chooses the lowest free handle.
    pub fn add(&self, direction: Direction) -> Result<()> {
        self.write("add", direction, &["prio", PRIORITY])
    }

    fn write(&self, how: &str, direction: Direction, place: &[&str]) -> Result<()> {
        let mut args = vec!["filter", how, "dev", &self.name, direction.word()];
        args.extend(place);
        args.extend(["protocol", "all", "bpf", "da"]);
        args.extend(self.program.iter().map(String::as_str));
        exec::run("tc", &args).map(drop)
    }

    /// Puts a filter where one may be, the way agents do that want a place of their own.
    pub fn replace(&self, direction: Direction, prio: &str, handle: &str) -> Result<()> {
        self.write("replace", direction, &["prio", prio, "handle", handle])
    }

    /// Deletes the filters of a direction.
    pub fn detach(&self, direction: Direction) -> Result<()> {
        let args = ["filter", "del", "dev", &self.name, direction.word(), "prio", PRIORITY];
        exec::run("tc", &args).map(drop)
    }

    /// Asks for the handles in place, as a policy update does.
    pub fn handles(&self, direction: Direction) -> Result<Vec<String>> {
        let args = ["filter", "show", "dev", &self.name, direction.word(), "prio", PRIORITY];
        Ok(handles_in(&exec::run("tc", &args)?))
    }

    /// Puts a new filter in and takes the old ones out: the handle goes from 1 to 2 or back.
    pub fn reattach(&self, direction: Direction) -> Result<()> {
        let old = self.handles(direction)?;
        self.add(direction)?;
        for handle in old {
            let args = ["filter", "del", "dev", &self.name, direction.word(), "prio", PRIORITY];
            exec::run("tc", &[&args[..], &["handle", &handle, "bpf"]].concat())?;
        }
        Ok(())
    }
}

/// The handles in the output of `tc filter show`.
fn handles_in(shown: &str) -> Vec<String> {
    let words: Vec<&str> = shown.split_whitespace().collect();
    words.windows(2).filter(|pair| pair[0] == "handle").map(|pair| pair[1].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_read_from_what_tc_shows() {
        let shown = "filter protocol all pref 49152 bpf chain 0 \n\
                     filter protocol all pref 49152 bpf chain 0 handle 0x2 direct-action not_in_hw\n\
                     filter protocol all pref 49152 bpf chain 0 handle 0x1 direct-action not_in_hw\n";
        assert_eq!(handles_in(shown), ["0x2", "0x1"]);
        assert!(handles_in("").is_empty());
    }
}
