//! What reads an agent's two streams, each on a thread of its own.

use std::io::BufRead;

use super::transcript::{Arrival, Transcript};
use crate::clock::Moment;
use crate::finding::Finding;
use crate::report::{Line, Reporter};

/// Takes in findings, a line each, to the end.
pub fn read_findings(lines: impl BufRead, transcript: &Transcript, reporter: &Reporter) {
    for line in lines.lines().map_while(Result::ok) {
        match serde_json::from_str::<Finding>(&line) {
            Ok(finding) => {
                let at = Moment::now();
                // Told before anyone can judge by it: a verdict comes after its finding.
                reporter.line(&Line::Finding { finding: Box::new(finding.clone()) });
                transcript.arrived(Arrival { finding, at });
            }
            Err(error) => transcript.stranger(format!("{line} ({error})")),
        }
    }
    transcript.end_of_stream();
}

/// Takes in the log, to its end.
pub fn read_log(lines: impl BufRead, transcript: &Transcript) {
    for line in lines.lines().map_while(Result::ok) {
        transcript.logged(line);
    }
    transcript.end_of_stream();
}
