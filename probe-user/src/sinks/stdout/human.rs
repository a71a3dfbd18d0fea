//! A finding for the eye.

use std::io::{self, Write};

use crate::{
    enrich::subject::Identity,
    findings::{Finding, Severity, State},
    text::plain,
};

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
    let Identity { pod, container, unit } = &subject.identity;
    let container = container.as_ref().map(|container| match &container.name {
        Some(name) => format!("{name} {}", container.id),
        None => container.id.clone(),
    });
    let pod = pod.as_ref().map(|pod| match (&pod.namespace, &pod.name) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name} {}", pod.uid),
        _ => pod.uid.clone(),
    });
    for (what, name) in
        [("pod", pod.as_ref()), ("container", container.as_ref()), ("unit", unit.as_ref())]
    {
        if let Some(name) = name {
            writeln!(to, "{:18}{what:<9} {}", "", plain(name))?;
        }
    }
    if let Some(path) = subject.cgroup.as_ref().and_then(|cgroup| cgroup.path.as_ref()) {
        writeln!(to, "{:18}cgroup    {}", "", plain(path))?;
    }
    for consumer in subject.consumers.iter().flat_map(|consumers| &consumers.groups) {
        let (threads, share) = (consumer.threads, consumer.share_percent);
        let path = plain(&consumer.path);
        writeln!(to, "{:18}has       {threads} threads ({share} %): {path}", "")?;
    }
    if finding.incident.findings > 1 {
        let incident = &finding.incident;
        writeln!(to, "{:18}incident  {} ({})", "", plain(&incident.line), incident.id)?;
    }
    if finding.state == State::Firing && finding.flaps > 0 {
        writeln!(to, "{:18}flaps     began again {} times", "", finding.flaps)?;
    }
    if finding.state == State::Firing && finding.revision == 1 {
        writeln!(to, "{:18}next      {}", "", finding.advice)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        findings::testing,
        text::testing::{is_plain, records},
    };

    fn shown(finding: &Finding) -> String {
        let mut text = Vec::new();
        write(finding, false, &mut text).expect("written");
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn an_incident_is_shown_when_it_is_more_than_the_finding() {
        let mut finding = testing::finding();
        assert!(!shown(&finding).contains("incident"), "{}", shown(&finding));
        finding.incident.findings = 2;
        finding.incident.line = "pids.max of /a is reached -> sh\n cannot fork".into();
        let line = "incident  pids.max of /a is reached -> sh\u{fffd} cannot fork (incident-";
        assert!(shown(&finding).contains(line), "{}", shown(&finding));
    }

    #[test]
    fn no_name_makes_a_line_or_steers_the_terminal() {
        for (name, record) in records() {
            let text = shown(record.finding().unwrap());
            let lines: Vec<_> = text.lines().collect();
            assert!(lines.iter().all(|line| is_plain(line)), "{text:?}");
            let words = ["WARNING", "pod", "container", "unit", "cgroup", "incident", "next"];
            assert_eq!(lines.len(), words.len(), "{name:?}: {text}");
            assert!(
                lines.iter().zip(words).all(|(line, word)| line[9..].trim().starts_with(word)),
                "{text}"
            );
        }
    }

    #[test]
    fn one_that_began_again_says_so() {
        let mut finding = testing::finding();
        assert!(!shown(&finding).contains("flaps"));
        finding.flaps = 2;
        assert!(shown(&finding).contains("flaps     began again 2 times"));
    }
}
