//! The sum of all parts of the test, and what failed, told again at the end: of a long log that is what is
//! read first.

use anyhow::Result;
use scenarios::report::{Done, Verdict};

/// Most that is told again of one failure (characters).
const MOST: usize = 2_000;

/// What came of a part.
#[derive(Default)]
pub struct Tested {
    /// Its checks.
    pub count: Done,
    /// Which failed, and why.
    pub failed: Vec<String>,
}

impl From<Done> for Tested {
    fn from(count: Done) -> Self {
        Self { count, failed: Vec::new() }
    }
}

impl Tested {
    /// One check that failed.
    pub fn failure(why: String) -> Self {
        Self { count: Done::FAILED, failed: vec![why] }
    }

    /// Adds what came of scenarios at one place, whose sum this is.
    pub fn play(&mut self, place: &str, verdicts: &[Verdict], count: Done) {
        self.count += count;
        let failed = verdicts.iter().filter(|verdict| !verdict.pass);
        self.failed.extend(failed.map(|Verdict { scenario, detail, .. }| {
            let detail: String = detail.chars().take(MOST).collect();
            format!("{place} {scenario}: {detail}")
        }));
    }
}

/// The sum of all parts.
#[derive(Default)]
pub struct Sum {
    all: Tested,
    parts: Vec<String>,
}

impl Sum {
    /// Runs one part; one that cannot run is a failure and does not stop the others.
    pub fn part<T: Into<Tested>>(&mut self, name: &str, part: impl FnOnce() -> Result<T>) {
        println!("\n== {name}");
        let tested = part().map_or_else(
            |error| {
                println!("{error:#}");
                Tested::failure(format!("{name}: {error:#}"))
            },
            Into::into,
        );
        if tested.count.failed > 0 {
            self.parts.push(name.to_owned());
        }
        self.all.count += tested.count;
        self.all.failed.extend(tested.failed);
    }

    /// Tells what failed, and the sum of all; whether some passed and none failed.
    pub fn tell(&self) -> bool {
        let Tested { count, failed } = &self.all;
        println!();
        if !self.parts.is_empty() {
            println!("failures in: {}", self.parts.join(", "));
        }
        failed.iter().for_each(|failure| println!("  {failure}"));
        println!("{count}");
        count.failed == 0 && count.passed > 0
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn what_failed_is_told_again() {
        let mut sum = Sum::default();
        sum.part("well", || Ok(Done::PASSED));
        assert!(sum.tell());
        sum.part("guests", || {
            let verdicts = [Verdict::new("quiet", true, String::new()), bad()];
            let mut tested = Tested::default();
            tested.play("6.1", &verdicts, Done { passed: 1, failed: 1, skipped: 0 });
            Ok(tested)
        });
        sum.part("fuzz", || -> Result<Done> { bail!("no compiler") });
        assert_eq!(sum.parts, ["guests", "fuzz"]);
        assert_eq!(sum.all.failed, ["6.1 loud: too loud", "fuzz: no compiler"]);
        assert_eq!(sum.all.count, Done { passed: 2, failed: 2, skipped: 0 });
        assert!(!sum.tell());
    }

    fn bad() -> Verdict {
        Verdict::new("loud", false, "too loud".to_owned())
    }
}
