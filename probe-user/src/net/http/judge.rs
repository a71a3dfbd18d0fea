//! What an answer of an HTTP server means for a batch.

use std::time::Duration;

use hyper::{
    StatusCode,
    header::{self, HeaderMap},
};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};

use crate::{
    sinks::backend::{Answer, Reason, Trouble},
    text::steers,
};

/// Most of an answer that is repeated (characters).
const EXCERPT: usize = 300;

/// What became of a batch, by status, headers and body of the answer. For servers that take all of a
/// request or nothing.
#[must_use]
pub fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    let text = told(status, body);
    let later = |reason, text| {
        let after = retry_after(headers, Timestamp::now());
        Answer::Later { trouble: Trouble { reason, text }, after }
    };
    match status.as_u16() {
        200..300 => Answer::Taken { said: text },
        // RFC 9110, section 15.4: nobody asked for another address but this one.
        300..400 => {
            let to = headers.get(header::LOCATION).map(|to| excerpt(to.as_bytes()));
            let to = to.unwrap_or_else(|| "nowhere".into());
            later(
                Reason::Server,
                format!(
                    "{status}: it points to {to}, which is not followed; \
                                           if that is right, let url be it"
                ),
            )
        }
        401 | 403 => later(Reason::Auth, format!("{text}; check auth")),
        407 => later(Reason::Auth, format!("{text}; a proxy is in between")),
        404 | 405 => later(Reason::Server, format!("{text}; is the path of url right?")),
        413 => Answer::TooLarge(text),
        429 => later(Reason::Busy, text),
        503 => later(Reason::Busy, text),
        408 | 425 | 500..600 => later(Reason::Server, text),
        400..500 => Answer::Refused(text),
        _ => later(Reason::Protocol, text),
    }
}

/// The status and the beginning of the body, for people.
#[must_use]
pub fn told(status: StatusCode, body: &[u8]) -> String {
    match excerpt(body) {
        text if text.is_empty() => status.to_string(),
        text => format!("{status}: {text}"),
    }
}

/// The beginning of what the other side says, on one line: it may be anything.
#[must_use]
pub fn excerpt(text: &[u8]) -> String {
    let start = text.get(..EXCERPT * 4).unwrap_or(text);
    let start = String::from_utf8_lossy(start);
    let mut said: String =
        start.trim().chars().take(EXCERPT).map(|c| if steers(c) { ' ' } else { c }).collect();
    if said.len() < text.trim_ascii().len() && said.chars().count() == EXCERPT {
        said.push_str("...");
    }
    said
}

/// How long the other side asks to be left alone: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()));
        judge(StatusCode::from_u16(status).unwrap(), &headers.collect(), body)
    }

    fn later(answer: Answer) -> (Reason, String, Option<Duration>) {
        match answer {
            Answer::Later { trouble: Trouble { reason, text }, after } => (reason, text, after),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_status_has_a_meaning() {
        for status in [200, 201, 202, 204, 299] {
            assert!(matches!(answer(status, &[], b"ok"), Answer::Taken { .. }), "{status}");
        }
        let laters = [
            (Reason::Busy, &[429, 503][..]),
            (
                Reason::Server,
                &[301, 302, 304, 307, 308, 404, 405, 408, 425, 500, 502, 504, 507, 599],
            ),
            (Reason::Auth, &[401, 403, 407]),
            (Reason::Protocol, &[999]),
        ];
        for (reason, statuses) in laters {
            for status in statuses {
                assert_eq!(later(answer(*status, &[], b"")).0, reason, "{status}");
            }
        }
        for status in [400, 402, 406, 409, 410, 415, 422, 431, 451] {
            assert!(matches!(answer(status, &[], b""), Answer::Refused(_)), "{status}");
        }
        assert!(matches!(answer(413, &[], b""), Answer::TooLarge(_)));
    }

    #[test]
    fn it_is_left_alone_for_as_long_as_it_asks() {
        let asked = |value| later(answer(429, &[("retry-after", value)], b"")).2;
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            asked("18446744073709551615"),
            Some(Duration::MAX.min(Duration::from_secs(u64::MAX)))
        );
        assert_eq!(asked("-1"), None);
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO), "it is over");
        let headers = [(header::RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap())];
        let now = "1994-11-06T08:49:30Z".parse().unwrap();
        assert_eq!(retry_after(&headers.into_iter().collect(), now), Some(Duration::from_secs(7)));
    }

    #[test]
    fn what_it_says_is_shown_but_tamed() {
        let Answer::Refused(text) = answer(400, &[], b" bad\n\x1b[2Jtype\xff ") else { panic!() };
        assert_eq!(text, "400 Bad Request: bad  [2Jtype\u{fffd}");
        let long = excerpt("\u{fc}".repeat(9_000).as_bytes());
        assert_eq!(long.chars().count(), EXCERPT + 3);
        assert_eq!(excerpt(b""), "");
        assert_eq!(excerpt("a\u{202e}b".as_bytes()), "a b");
    }

    #[test]
    fn a_redirection_is_named() {
        let (_, text, _) = later(answer(308, &[("location", "https://other/")], b""));
        assert!(text.contains("https://other/") && text.contains("let url be it"), "{text}");
        assert!(later(answer(302, &[], b"")).1.contains("nowhere"));
    }
}
