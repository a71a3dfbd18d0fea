//! Headers that a configuration adds to each request. Their values are not shown: some are keys.

use std::collections::BTreeMap;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::Secret;

/// Most of them.
const MOST: usize = 32;

/// Those that are made here, and whose other keys they would contradict.
const OWN: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// `headers`: names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

impl Headers {
    /// As a request has them.
    #[must_use]
    pub fn map(&self) -> &HeaderMap {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = BTreeMap::<String, Secret>::deserialize(deserializer)?;
        if given.len() > MOST {
            return Err(D::Error::custom(format!("{} headers; at most {MOST} are", given.len())));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            let (name, value) = checked(&name, value.reveal()).map_err(D::Error::custom)?;
            headers.insert(name, value);
        }
        Ok(Self(headers))
    }
}

fn checked(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let no_name = |_| format!("{name:?} is no name of a header");
    let header = HeaderName::try_from(name).map_err(no_name)?;
    if header == header::AUTHORIZATION {
        return Err(format!("{name} is made of auth.token and auth.scheme; give those"));
    }
    if OWN.contains(&header) {
        return Err(format!("{name} is made by nodeprobe itself; leave it out"));
    }
    let no_value = |_| format!("the value of {name} has characters that no header can have");
    let mut value = HeaderValue::try_from(value).map_err(no_value)?;
    value.set_sensitive(true);
    Ok((header, value))
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hidden = self.0.keys().map(|name| (name.as_str(), Secret::new("")));
        serializer.collect_map(hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_checked_and_values_hidden() {
        let of = |toml: &str| toml::from_str::<Headers>(toml).map_err(|e| e.message().to_owned());
        let headers = of("X-Scope-OrgID = 'hunter2'").unwrap();
        assert_eq!(headers.map()["x-scope-orgid"], "hunter2");
        let shown = format!("{headers:?}{}", toml::to_string(&headers).unwrap());
        assert!(!shown.contains("hunter2") && shown.contains("<hidden>"), "{shown}");
        assert!(of("'a b' = 'c'").unwrap_err().contains("no name"));
        assert!(of("a = \"b\\nc\"").unwrap_err().contains("no header can have"));
        assert!(of("Authorization = 'x'").unwrap_err().contains("auth.token"));
        assert!(of("Content-Length = '3'").unwrap_err().contains("leave it out"));
        let many: String = (0..=MOST).map(|n| format!("h{n} = ''\n")).collect();
        assert!(of(&many).unwrap_err().contains("at most 32"));
    }
}
