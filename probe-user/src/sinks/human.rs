//! A finding for the eye.

use std::io::{self, Write};

use crate::findings::{Finding, Severity, State};

/// Writes a finding in a few lines, in colour when asked to.
///
/// # Errors
/// The writer's.
pub fn write(finding: &Finding, colour: bool, to: &mut impl Write) -> io::Result<()> {
    let (word, code) = match (finding.state, finding.severity) {
        (State::Resolved, _) => ("RESOLVED", "32"),
        (State::Firing, Severity::Critical) => ("CRITICAL", "1;31"),
        (State::Firing, Severity::Warning) => ("WARNING", "1;33"),
        (State::Firing, Severity::Info) => ("INFO", "1;36"),
    };
    let (on, off) = if colour { (format!("\x1b[{code}m"), "\x1b[0m") } else { (String::new(), "") };
    let time = finding.last_seen.strftime("%H:%M:%S");
    writeln!(to, "{time} {on}{word:<8}{off} {} {}", finding.rule, plain(&finding.summary))?;
    let subject = &finding.subject;
    if let Some(container) = &subject.container_id {
        writeln!(to, "{:18}container {}", "", plain(container))?;
    }
    if let Some(path) = subject.cgroup.as_ref().and_then(|cgroup| cgroup.path.as_ref()) {
        writeln!(to, "{:18}cgroup    {}", "", plain(path))?;
    }
    for consumer in subject.consumers.iter().flat_map(|consumers| &consumers.groups) {
        let (threads, share) = (consumer.threads, consumer.share_percent);
        let path = plain(&consumer.path);
        writeln!(to, "{:18}has       {threads} threads ({share} %): {path}", "")?;
    }
    if finding.state == State::Firing && finding.revision == 1 {
        writeln!(to, "{:18}next      {}", "", finding.advice)?;
    }
    Ok(())
}

/// Names come from whoever made the process, the interface or the cgroup; none may steer a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\n\u{9b}c"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c");
    }
}
