//! docs/privileges.md: what stays, then for each set of capabilities that was left out what is lost.

use std::{collections::BTreeSet, fmt::Write};

use scenarios::privileges::{ALL, LEFT_OUT, Privileges};

use super::Table;

const HEAD: &str = "\
# Privileges

Written by `cargo xtask docs --privileges`: in a guest of each kernel the agent is started with some capabilities left out, asked
what it misses (`nodeprobe doctor`), and shown small incidents. What it loses is found by trying. With CAP_SYS_ADMIN a
process may do what CAP_BPF, CAP_PERFMON and CAP_CHECKPOINT_RESTORE allow. In each case below the agent names what it was not given, in `doctor` (`missing`), when it is ready, and in `/readyz`. docs/privileges.json is the same
for programs; [SECURITY_MODEL.md](SECURITY_MODEL.md) says why each is used, and what becomes of them.
";

/// The whole page.
pub fn markdown(table: &Table) -> String {
    let mut page = HEAD.to_owned();
    kept(&mut page, table);
    for without in LEFT_OUT.iter().filter(|without| !without.is_empty()) {
        of_set(&mut page, table, without);
    }
    page
}

fn kept(page: &mut String, table: &Table) {
    page.push_str(
        "\n## Once it runs\n\nGiven all, it has these left in all of its threads together:\n\n",
    );
    for (series, kernel) in table.ordered() {
        let kept = kernel.without(&[]).map_or_else(String::new, |all| all.kept.join(", "));
        // Writing to a String cannot fail.
        let _ = writeln!(page, "* {series}: {kept}");
    }
}

fn of_set(page: &mut String, table: &Table, without: &[&str]) {
    let title = if without == [ALL] { "any".to_owned() } else { without.join(" and ") };
    let _ = writeln!(page, "\n## Without {title}\n");
    let series: Vec<_> = table.ordered().map(|(series, _)| series).collect();
    let losses: Vec<Vec<(String, String)>> = table
        .ordered()
        .map(|(_, kernel)| match (kernel.without(&[]), kernel.without(without)) {
            (Some(all), Some(less)) => losses(all, less),
            _ => Vec::new(),
        })
        .collect();
    let names: BTreeSet<_> = losses.iter().flatten().map(|(what, _)| what).collect();
    if names.is_empty() {
        page.push_str("Nothing is lost.\n");
        return;
    }
    let _ = writeln!(page, "| | {} |\n|---|{}", series.join(" | "), "---|".repeat(series.len()));
    for name in names {
        let cells = losses.iter().map(|losses| {
            let loss = losses.iter().find(|(what, _)| what == name);
            format!(" {} |", loss.map_or("–", |(_, how)| how))
        });
        let _ = writeln!(page, "| {name} |{}", cells.collect::<String>());
    }
}

/// What is lost, and how.
fn losses(all: &Privileges, less: &Privileges) -> Vec<(String, String)> {
    if let Some(ends) = &less.ends {
        let said = ends.strip_prefix("nodeprobe: ").unwrap_or(ends);
        return vec![("the agent does not start".to_owned(), said.to_owned())];
    }
    let hooks = all.hooks.iter().filter_map(|(hook, rung)| {
        let now = less.hooks.get(hook).map_or("none", String::as_str);
        let was = rung.split(',').next().unwrap_or_default();
        (now != rung).then(|| (format!("hook {hook}"), format!("{now}; was {was}")))
    });
    let untold = all.told.difference(&less.told).map(|told| (told.clone(), "not told".to_owned()));
    untold.chain(hooks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_by_what_it_was() {
        let hooks = |rung: &str| [("tc/a".to_owned(), rung.to_owned())].into();
        let told = |what: &str| [what.to_owned()].into();
        let all = Privileges { hooks: hooks("fexit"), told: told("x"), ..Privileges::default() };
        let less = Privileges { hooks: hooks("kprobe"), ..Privileges::default() };
        let pair = |what: &str, how: &str| (what.to_owned(), how.to_owned());
        let expected = [pair("x", "not told"), pair("hook tc/a", "kprobe; was fexit")];
        assert_eq!(losses(&all, &less), expected);
        assert!(losses(&all, &all).is_empty());
        let ended = Privileges { ends: Some("nodeprobe: no".to_owned()), ..Privileges::default() };
        assert_eq!(losses(&all, &ended), [pair("the agent does not start", "no")]);
    }
}
