//! Who we are to a server, by an Authorization header.

use std::path::PathBuf;

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::header::HeaderValue;
use serde::{Deserialize, Serialize};

use super::{Secret, watched::Watched};

/// `auth`: keys of whatever says who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub enum AuthConfig {
    /// Nobody.
    #[default]
    None,
    /// A user and a password.
    Basic(String, Source),
    /// A token behind a word for what it is, usually `Bearer`.
    Token(String, Source),
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Given(Secret),
    /// The first line of a file, which may change at any time.
    File(PathBuf),
}

/// The usual word before a token.
const BEARER: &str = "Bearer";

#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
}

impl TryFrom<Keys> for AuthConfig {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        let Keys { username, password, password_file, token, token_file, scheme } = keys;
        let password = Source::of("password", password, password_file)?;
        let token = Source::of("token", token, token_file)?;
        let allowed = "allowed are username with password or password_file, or token or token_file \
                       with or without a scheme";
        match (username, password, token, scheme) {
            (None, None, None, None) => Ok(Self::None),
            (Some(user), Some(password), None, None) if !user.contains(':') => {
                Ok(Self::Basic(user, password))
            }
            (Some(_), Some(_), None, None) => Err("a username has no colon".into()),
            (None, None, Some(token), None) => Ok(Self::Token(BEARER.into(), token)),
            (None, None, Some(token), Some(scheme)) => {
                let word = !scheme.is_empty() && scheme.bytes().all(|c| c.is_ascii_alphanumeric());
                let wrong = || format!("scheme {scheme:?} is no word such as Bearer or ApiKey");
                if word { Ok(Self::Token(scheme, token)) } else { Err(wrong()) }
            }
            (None, Some(_), None, None) => Err("a password needs a username beside it".into()),
            _ => Err(format!("these keys do not go together; {allowed}")),
        }
    }
}

impl AuthConfig {
    /// A bearer token (RFC 6750).
    #[must_use]
    pub fn bearer(token: Source) -> Self {
        Self::Token(BEARER.into(), token)
    }
}

impl Source {
    /// Of a key that holds a secret, or the key beside it that names its file.
    ///
    /// # Errors
    /// When it is both.
    pub fn of(
        key: &str,
        given: Option<Secret>,
        file: Option<PathBuf>,
    ) -> Result<Option<Self>, String> {
        match (given, file) {
            (None, None) => Ok(None),
            (Some(secret), None) => Ok(Some(Self::Given(secret))),
            (None, Some(path)) => Ok(Some(Self::File(path))),
            (Some(_), Some(_)) => Err(format!("{key} and {key}_file are two of one; keep one")),
        }
    }

    /// The two keys that it is made of.
    #[must_use]
    pub fn into_keys(self) -> (Option<Secret>, Option<PathBuf>) {
        match self {
            Self::Given(secret) => (Some(secret), None),
            Self::File(path) => (None, Some(path)),
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// The file, and why it cannot be read.
    pub fn open(&self) -> Result<Live, String> {
        Ok(match self {
            Self::Given(secret) => Live::Given(secret.clone()),
            Self::File(path) => Live::File(Watched::open(path)?),
        })
    }
}

impl From<AuthConfig> for Keys {
    fn from(config: AuthConfig) -> Self {
        match config {
            AuthConfig::None => Self::default(),
            AuthConfig::Basic(username, source) => {
                let (password, password_file) = source.into_keys();
                Self { username: Some(username), password, password_file, ..Self::default() }
            }
            AuthConfig::Token(scheme, source) => {
                let (token, token_file) = source.into_keys();
                let scheme = (scheme != BEARER).then_some(scheme);
                Self { token, token_file, scheme, ..Self::default() }
            }
        }
    }
}

/// A secret at hand.
#[derive(Debug)]
pub enum Live {
    Given(Secret),
    File(Watched),
}

impl Live {
    /// As it is now.
    pub fn secret(&mut self) -> &Secret {
        match self {
            Self::Given(secret) => secret,
            Self::File(file) => file.line(),
        }
    }
}

/// Credentials at hand.
#[derive(Debug)]
pub enum Auth {
    None,
    Basic(String, Live),
    Token(String, Live),
}

impl Auth {
    /// Opens what is configured.
    ///
    /// # Errors
    /// The file, and why it cannot be read.
    pub fn open(config: &AuthConfig) -> Result<Self, String> {
        Ok(match config {
            AuthConfig::None => Self::None,
            AuthConfig::Basic(user, source) => Self::Basic(user.clone(), source.open()?),
            AuthConfig::Token(scheme, source) => Self::Token(scheme.clone(), source.open()?),
        })
    }

    /// The value of the Authorization header now, if there is to be one.
    ///
    /// # Errors
    /// When the secret has characters that no header can have.
    pub fn header(&mut self) -> Result<Option<HeaderValue>, String> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Basic(user, password) => {
                let pair = format!("{user}:{}", password.secret().reveal());
                format!("Basic {}", BASE64_STANDARD.encode(pair))
            }
            Self::Token(scheme, token) => format!("{scheme} {}", token.secret().reveal()),
        };
        let wrong = |_| "auth: the token has characters that no header can have".to_owned();
        let mut value = HeaderValue::try_from(text).map_err(wrong)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn config(toml: &str) -> Result<AuthConfig, String> {
        toml::from_str(toml).map_err(|error| error.message().to_owned())
    }

    fn header(config: &AuthConfig) -> Option<String> {
        let value = Auth::open(config).unwrap().header().unwrap()?;
        assert!(value.is_sensitive());
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn each_way_has_its_header() {
        let of = |toml| header(&config(toml).unwrap());
        assert_eq!(of(""), None);
        // RFC 7617, section 2.
        let basic = "username = 'Aladdin'\npassword = 'open sesame'";
        assert_eq!(of(basic).as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert_eq!(of("token = 'abc'").as_deref(), Some("Bearer abc"));
        assert_eq!(of("token = 'abc'\nscheme = 'ApiKey'").as_deref(), Some("ApiKey abc"));
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let wrong = |toml| config(toml).unwrap_err();
        assert!(wrong("username = 'a'").contains("password_file"));
        assert!(wrong("password = 'a'").contains("needs a username"));
        assert!(wrong("token = 'a'\ntoken_file = '/b'").contains("keep one"));
        assert!(wrong("token = 'a'\nusername = 'b'\npassword = 'c'").contains("allowed are"));
        assert!(wrong("username = 'a:b'\npassword = 'c'").contains("colon"));
        assert!(wrong("token = 'a'\nscheme = 'a b'").contains("ApiKey"));
        assert!(wrong("tokn = 'a'").contains("token_file"), "it says what there is");
    }

    #[test]
    fn a_rotated_token_is_used_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let toml = format!("token_file = {path:?}");
        let config = config(&toml).unwrap();
        assert!(Auth::open(&config).unwrap_err().contains("token: No such file"));
        fs::write(&path, "first").unwrap();
        let mut auth = Auth::open(&config).unwrap();
        assert_eq!(auth.header().unwrap().unwrap(), "Bearer first");
        fs::write(dir.path().join("new"), "second").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(auth.header().unwrap().unwrap(), "Bearer second");
        fs::write(&path, "no\u{1}token").unwrap();
        let why = auth.header().unwrap_err();
        assert!(!why.contains("no\u{1}token"), "{why}");
    }

    #[test]
    fn no_secret_is_shown() {
        for toml in ["token = 'hunter2'", "username = 'a'\npassword = 'hunter2'"] {
            let config = config(toml).unwrap();
            let shown = format!("{config:?} {:?}", Auth::open(&config).unwrap());
            let printed = toml::to_string(&config).unwrap();
            assert!(!shown.contains("hunter2") && !printed.contains("hunter2"), "{shown}{printed}");
            assert!(printed.contains("<hidden>"));
        }
    }
}
