//! Which Debian mirror to use: the one this system already uses.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};

const OVERRIDE: &str = "NODEPROBE_DEBIAN_MIRROR";
/// Suites that only a mirror of Debian itself has.
const SUITES: &[&str] = &[
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// The URI of a Debian mirror.
pub fn debian() -> Result<String> {
    if let Ok(uri) = env::var(OVERRIDE) {
        return Ok(uri);
    }
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    files.extend(parts.map(|part| part.path()));
    files.sort();
    files
        .iter()
        .filter_map(|file| {
            let text = fs::read_to_string(file).ok()?;
            match file.extension()?.to_str()? {
                "list" => from_list(&text),
                "sources" => from_deb822(&text),
                _ => None,
            }
        })
        .next()
        .with_context(|| {
            format!("apt's sources name no Debian mirror: set {OVERRIDE} to the URI of one, as in apt's sources.list")
        })
}

/// From one-line entries: `deb [options] URI SUITE COMPONENT...`.
fn from_list(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut entry = line.split('#').next()?.trim().strip_prefix("deb ")?.trim();
        if let Some(options) = entry.strip_prefix('[') {
            entry = options.split_once(']')?.1;
        }
        let words: Vec<_> = entry.split_whitespace().collect();
        let (uri, suite) = (words.first()?, words.get(1)?);
        fits(suite, &words[2..]).then(|| (*uri).to_owned())
    })
}

/// From paragraphs of `Key: value` lines.
fn from_deb822(text: &str) -> Option<String> {
    text.split("\n\n").find_map(|paragraph| {
        let words = |key: &str| -> Vec<&str> {
            let field = paragraph
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|field| field.0 == key);
            field.map(|field| field.1.split_whitespace().collect()).unwrap_or_default()
        };
        let (components, suites) = (words("Components"), words("Suites"));
        let usable = words("Types").contains(&"deb")
            && !words("Enabled").contains(&"no")
            && suites.iter().any(|suite| fits(suite, &components));
        usable.then(|| words("URIs").first().map(|uri| (*uri).to_owned()))?
    })
}

fn fits(suite: &str, components: &[&str]) -> bool {
    SUITES.contains(&suite) && components.contains(&"main")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_entries_are_read() {
        let text = "# deb http://old/debian bookworm main\n\
                    deb http://security/debian-security bookworm-security main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://mirror/debian bookworm main contrib # ours\n";
        assert_eq!(from_list(text).as_deref(), Some("http://mirror/debian"));
        assert_eq!(from_list("deb https://vendor/apt tool-bookworm main\n"), None);
    }

    #[test]
    fn paragraphs_are_read() {
        let text = "Types: deb\nURIs: http://vendor/node\nSuites: nodistro\nComponents: main\n\n\
                    Types: deb\n# a comment: here\nURIs: http://mirror/debian\n\
                    Suites: bookworm bookworm-updates\nComponents: main\n";
        assert_eq!(from_deb822(text).as_deref(), Some("http://mirror/debian"));
        let off = text.replace("Types: deb\n#", "Enabled: no\nTypes: deb\n#");
        assert_eq!(from_deb822(&off), None);
    }
}
