//! Addresses of HTTP servers, checked when the configuration is read.

use std::{fmt, str::FromStr};

use hyper::Uri;
use serde::{Deserialize, Serialize};

/// Longest address (bytes).
const LONGEST: usize = 2048;

/// An http or https address without credentials. Shown without its query, which may hold some.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpUrl(Uri);

impl HttpUrl {
    /// The address itself.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether it is to be spoken to by TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Name or address of the host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// Whether the host is this one by its name or address, so that what is sent passes no network.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let address = self.host().parse::<std::net::IpAddr>();
        address.map_or(self.host() == "localhost", |address| address.is_loopback())
    }

    /// The address of a door of a server: `path`, and whatever query it has, below what this one has of
    /// a path already. One that ends with the path already does not get it twice.
    #[must_use]
    pub fn below(&self, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let own = self.0.path().trim_end_matches('/');
        let path = if own.ends_with(path) { "" } else { path };
        let queries = [self.0.query().unwrap_or_default(), query];
        let query = queries.into_iter().filter(|query| !query.is_empty());
        let query = query.collect::<Vec<_>>().join("&");
        let question = if query.is_empty() { "" } else { "?" };
        let mut parts = self.0.clone().into_parts();
        parts.path_and_query = format!("{own}{path}{question}{query}").parse().ok();
        Uri::from_parts(parts).map_or_else(|_| self.clone(), Self)
    }
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text itself may hold a password, so none of it is repeated.
        let allowed = "an address such as \"https://logs.example.com:3100\"";
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes; {allowed} is"));
        }
        if text.contains('#') {
            return Err(format!("a part behind # is not sent to a server; allowed is {allowed}"));
        }
        let uri: Uri = text.parse().map_err(|error| format!("{error}; allowed is {allowed}"))?;
        let authority = uri.authority().map(hyper::http::uri::Authority::as_str);
        if authority.is_some_and(|authority| authority.contains('@')) {
            return Err("a URL holds no user and password here; give them as auth.username and \
                        auth.password_file"
                .into());
        }
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(format!(
                "it begins with neither http:// nor https://; allowed is {allowed}"
            ));
        }
        if uri.host().is_none_or(str::is_empty) || uri.port().is_some() != has_port(authority) {
            return Err(format!("it has no host, or a port that is none; allowed is {allowed}"));
        }
        Ok(Self(uri))
    }
}

/// Whether something stands behind the host: `Uri` takes what is no number for no port.
fn has_port(authority: Option<&str>) -> bool {
    let behind = authority.map(|authority| authority.rsplit(']').next().unwrap_or_default());
    behind.is_some_and(|behind| behind.contains(':'))
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(uri) = self;
        let (scheme, authority) = (uri.scheme_str(), uri.authority());
        write!(f, "{}://", scheme.unwrap_or_default())?;
        write!(f, "{}{}", authority.map_or("", |authority| authority.as_str()), uri.path())?;
        if uri.query().is_some() { f.write_str("?<hidden>") } else { Ok(()) }
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for HttpUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<HttpUrl> for String {
    fn from(url: HttpUrl) -> Self {
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> HttpUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_mistake_is_told_without_the_secret_in_it() {
        let wrong = |text: &str| text.parse::<HttpUrl>().unwrap_err();
        for text in ["", "/path", "logs.example.com", "ftp://a", "logs:3100", "unix:///run/a"] {
            let why = wrong(text);
            assert!(why.contains("https://logs.example.com:3100"), "{text}: {why}");
        }
        for text in [
            "http://",
            "http://:80",
            "https://a:x/",
            "http://a:99999/",
            "http://[::1",
            "http://a b",
        ] {
            let why = wrong(text);
            assert!(why.contains("allowed is"), "{text}: {why}");
        }
        let why = wrong("https://admin:hunter2@logs/");
        assert!(why.contains("auth.password_file") && !why.contains("hunter2"), "{why}");
        assert!(wrong("http://a/#b").contains('#'));
        assert!(wrong(&format!("http://{}", "a".repeat(LONGEST))).contains("2048"));
    }

    #[test]
    fn a_door_is_below_what_the_server_has_of_a_path() {
        let door = |text| url(text).below("/api/v2/alerts").uri().to_string();
        assert_eq!(door("http://am:9093"), "http://am:9093/api/v2/alerts");
        assert_eq!(door("http://am:9093/"), "http://am:9093/api/v2/alerts");
        assert_eq!(door("https://x/am/?t=1"), "https://x/am/api/v2/alerts?t=1");
        assert_eq!(door("https://x/am/api/v2/alerts"), "https://x/am/api/v2/alerts");
        let bulk = url("http://es?a=b").below("/_bulk?c=d");
        assert_eq!(bulk.uri().to_string(), "http://es/_bulk?a=b&c=d");
    }

    #[test]
    fn it_knows_its_host() {
        assert!(url("http://[::1]:80/").is_local() && url("http://127.0.0.9").is_local());
        assert!(url("http://localhost:1").is_local() && !url("http://10.0.0.1").is_local());
        assert!(url("https://a").is_https() && !url("http://a").is_https());
        assert_eq!(url("http://[2001:db8::1]:80/").host(), "2001:db8::1");
    }

    #[test]
    fn the_query_is_not_shown() {
        let url = url("https://hooks.example.com/in?key=hunter2");
        assert_eq!(url.to_string(), "https://hooks.example.com/in?<hidden>");
        assert!(!format!("{url:?} {}", serde_json::to_string(&url).unwrap()).contains("hunter2"));
    }
}
