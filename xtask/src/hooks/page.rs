//! docs/hooks.md: a table for each hook, a line for each kernel, the reasons below.

use std::fmt::Write;

use scenarios::doctor::{Hook, RUNGS};

use super::{OfKernel, Table};

const HEAD: &str = "\
# Hooks

Written by `cargo xtask docs --hooks`, from what `nodeprobe doctor` says in a guest of each kernel: by its own choice, and
with each rung alone. The test compares it with what the doctor says in its guests. docs/hooks.json is the same for programs.
";

/// The whole page.
pub fn markdown(table: &Table) -> String {
    let mut page = HEAD.to_owned();
    let mut names: Vec<(&str, &str)> = Vec::new();
    let hooks = table.ordered().flat_map(|(_, kernel)| &kernel.said).flat_map(|said| &said.hooks);
    for hook in hooks {
        let name = (hook.signal.as_str(), hook.hook.as_str());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        of_hook(&mut page, table, name);
    }
    page
}

fn of_hook(page: &mut String, table: &Table, name: (&str, &str)) {
    let mut notes = Notes::default();
    let mut rows = String::new();
    for (series, kernel) in table.ordered() {
        let takes = find(kernel, None, name).map_or("?", takes);
        // Writing to a String cannot fail.
        let _ = write!(rows, "| {series} | {takes} |");
        for rung in RUNGS {
            let cell = find(kernel, Some(rung), name).map(|hook| cell(hook, &mut notes));
            let _ = write!(rows, " {} |", cell.unwrap_or_else(|| "?".to_owned()));
        }
        rows.push('\n');
    }
    let (signal, hook) = name;
    let rungs = RUNGS.join(" | ");
    let _ = write!(page, "\n## {signal}/{hook}\n\n| kernel | takes | {rungs} |\n");
    let _ = writeln!(page, "|---|---|{}", "---|".repeat(RUNGS.len()));
    page.push_str(&rows);
    if !notes.0.is_empty() {
        page.push('\n');
    }
    for (number, note) in notes.0.iter().enumerate() {
        let _ = writeln!(page, "{}. {note}", number + 1);
    }
}

fn find<'a>(kernel: &'a OfKernel, rung: Option<&str>, name: (&str, &str)) -> Option<&'a Hook> {
    kernel.on(rung)?.hooks.iter().find(|hook| (hook.signal.as_str(), hook.hook.as_str()) == name)
}

fn takes(hook: &Hook) -> &str {
    match hook.rung_name() {
        "none" => "**none**",
        "not_applicable" => "nothing to see",
        "pending" => "when its module is loaded",
        rung => rung,
    }
}

fn cell(hook: &Hook, notes: &mut Notes) -> String {
    if let Some(why) = &hook.not_applicable {
        return notes.cell("–", why);
    }
    match (&hook.rung, &hook.misses) {
        (Some(_), None) => "yes".to_owned(),
        (Some(_), Some(misses)) => notes.cell("yes", &format!("It does not see {misses}.")),
        (None, _) => {
            let why = hook.refused.iter().map(|refused| refused.why.as_str());
            notes.cell("no", &why.collect::<Vec<_>>().join("; "))
        }
    }
}

/// What is said below a table, each thing once.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn cell(&mut self, text: &str, note: &str) -> String {
        let at = self.0.iter().position(|known| known == note).unwrap_or_else(|| {
            self.0.push(note.to_owned());
            self.0.len() - 1
        });
        format!("{text} ({})", at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_written_once() {
        let mut notes = Notes::default();
        assert_eq!(notes.cell("no", "no kprobes"), "no (1)");
        assert_eq!(notes.cell("no", "no BTF"), "no (2)");
        assert_eq!(notes.cell("no", "no kprobes"), "no (1)");
    }
}
