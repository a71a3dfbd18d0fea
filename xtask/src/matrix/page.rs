//! The tables: one for each rung and each kind of guest, a line for each scenario, a column for each kernel.

use std::fmt::Write;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use scenarios::report::Skip;

use super::{
    PLAIN,
    cells::{Cell, Cells, End},
};
use crate::kernel;

const HEAD: &str = "\
# The matrix

Written by `cargo xtask matrix --write`: each cell is a scenario, played in a guest. A number in brackets is what was left
out there, and why. \"hooks\" holds what the doctor says against [hooks.md](hooks.md). What is empty was not played yet.
";

/// The whole page.
pub fn markdown(cells: &Cells) -> String {
    format!("{HEAD}\n{}", text(cells))
}

/// The tables, and below them what was left out and what failed.
pub fn text(cells: &Cells) -> String {
    let mut text = String::new();
    let mut notes = Vec::new();
    let groups = distinct(cells.iter().map(|cell| (cell.guest.as_str(), cell.rung.as_str())));
    for (guest, rung) in groups {
        let group: Vec<&Cell> =
            cells.iter().filter(|cell| cell.guest == guest && cell.rung == rung).collect();
        let title =
            if guest == PLAIN { format!("rung: {rung}") } else { format!("guest: {guest}") };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "## {title}\n\n{}\n", table(&group, &mut notes));
    }
    for (number, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}. {note}", number + 1);
    }
    for cell in cells.iter().filter(|cell| cell.end == End::Failed) {
        let Cell { kernel, rung, guest, scenario, detail, .. } = cell;
        let detail = detail.replace('\n', " ");
        let _ = writeln!(text, "\nFAILED: {scenario} on {kernel}, {rung}, {guest}: {detail}");
    }
    text
}

fn table(group: &[&Cell], notes: &mut Vec<String>) -> Table {
    let known = |series: &&str| group.iter().any(|cell| cell.kernel == *series);
    let kernels: Vec<&str> = kernel::all_series().filter(known).collect();
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    table.set_header(["scenario"].iter().chain(&kernels));
    for scenario in distinct(group.iter().map(|cell| cell.scenario.as_str())) {
        let mut row = vec![scenario.to_owned()];
        row.extend(kernels.iter().map(|series| {
            let of = |cell: &&&Cell| cell.kernel == *series && cell.scenario == scenario;
            group.iter().find(of).map_or_else(String::new, |cell| word(cell, notes))
        }));
        table.add_row(row);
    }
    table
}

fn word(cell: &Cell, notes: &mut Vec<String>) -> String {
    let mut word = match cell.end {
        End::Ok => "ok",
        End::Failed => "FAILED",
        End::Skip => "skip",
    }
    .to_owned();
    let numbers = cell.skipped.iter().map(|skip: &Skip| {
        let note = skip.to_string();
        let at = notes.iter().position(|known| *known == note).unwrap_or_else(|| {
            notes.push(note);
            notes.len() - 1
        });
        (at + 1).to_string()
    });
    let numbers: Vec<String> = numbers.collect();
    if !numbers.is_empty() {
        let _ = write!(word, " [{}]", numbers.join(", "));
    }
    word
}

/// Each once, in the order they come.
fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut seen, item| {
        if !seen.contains(&item) {
            seen.push(item);
        }
        seen
    })
}

#[cfg(test)]
mod tests {
    use scenarios::report::{SkipKind, Verdict};

    use super::*;
    use crate::play::GuestRun;

    #[test]
    fn tables_have_a_column_for_each_kernel_and_a_note_for_each_reason() {
        let (old, new) = (GuestRun::new("5.10"), GuestRun::new("7.2"));
        let mut cells = Cells::default();
        let mut skipped = Verdict::new("tc-agents", true, String::new());
        let (part, reason) = ("two agents".to_owned(), "no veth".to_owned());
        skipped.skipped.push(Skip { part, kind: SkipKind::NotPlayed, reason });
        skipped.played = false;
        cells.add(&new, &[Verdict::new("tc-agents", false, "nothing\ncame".to_owned())]);
        cells.add(&old, &[skipped]);
        let text = text(&cells);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines[0], "## rung: best");
        assert_eq!(lines[2], "| scenario  | 5.10     | 7.2    |", "{text}");
        assert_eq!(lines[4], "| tc-agents | skip [1] | FAILED |");
        assert_eq!(lines[6], "1. not played: two agents: no veth");
        assert_eq!(lines[8], "FAILED: tc-agents on 7.2, best, plain: nothing came");
    }
}
