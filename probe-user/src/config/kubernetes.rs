//! `[kubernetes]`

use std::{env, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    net::{AuthConfig, HttpUrl, TlsConfig, auth::Source},
    sinks::node,
};

/// Where a pod finds who it is to the API server.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Which API server tells the pods of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct KubernetesConfig {
    pub api: Api,
    /// Name of this node; NODE_NAME where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Who we are to it; by default a pod's service account.
    #[serde(skip_serializing_if = "is_default")]
    pub auth: AuthConfig,
    /// Whom to trust; by default who signed for the cluster.
    #[serde(skip_serializing_if = "TlsConfig::is_default")]
    pub tls: TlsConfig,
}

/// An API server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Api {
    /// The cluster's, where a pod has a token for it.
    #[default]
    Auto,
    None,
    At(HttpUrl),
}

/// All there is to know to ask.
#[derive(Debug)]
pub struct Place {
    pub url: HttpUrl,
    pub node: String,
    pub auth: AuthConfig,
    pub tls: TlsConfig,
}

impl KubernetesConfig {
    /// The server to ask, if one is to be asked.
    ///
    /// # Errors
    /// What is missing, and where it comes from.
    pub fn place(&self) -> Result<Option<Place>, String> {
        self.found(|name| env::var(name).ok(), Path::new(ACCOUNT), node::told())
    }

    fn found(
        &self,
        variable: impl Fn(&str) -> Option<String>,
        account: &Path,
        told: Option<String>,
    ) -> Result<Option<Place>, String> {
        let (token, ca) = (account.join("token"), account.join("ca.crt"));
        let url = match &self.api {
            Api::None => return Ok(None),
            Api::At(url) => url.clone(),
            Api::Auto => {
                let host = variable("KUBERNETES_SERVICE_HOST").filter(|_| token.exists());
                let Some(host) = host else { return Ok(None) };
                let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".into());
                // An IPv6 address is bare there.
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                let url = format!("https://{host}:{port}");
                url.parse().map_err(|why| format!("KUBERNETES_SERVICE_HOST and _PORT: {why}"))?
            }
        };
        let node = self.node.clone().or(told).ok_or(
            "the name of this node is not known: set NODE_NAME from spec.nodeName (fieldRef), or \
             kubernetes.node, or kubernetes.api to \"none\"",
        )?;
        let auth = match &self.auth {
            AuthConfig::None if token.exists() => AuthConfig::bearer(Source::File(token)),
            auth => auth.clone(),
        };
        let tls = match self.tls.is_default() && url.is_https() && ca.exists() {
            true => TlsConfig::trusting(ca),
            false => self.tls.clone(),
        };
        Ok(Some(Place { url, node, auth, tls }))
    }
}

impl FromStr for Api {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            url => {
                url.parse().map(Self::At).map_err(|why| format!("{why}, or \"auto\", or \"none\""))
            }
        }
    }
}

impl TryFrom<String> for Api {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Api> for String {
    fn from(api: Api) -> Self {
        match api {
            Api::Auto => "auto".into(),
            Api::None => "none".into(),
            Api::At(url) => url.into(),
        }
    }
}

fn is_default(auth: &AuthConfig) -> bool {
    *auth == AuthConfig::None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn config(toml: &str) -> KubernetesConfig {
        toml::from_str(toml).unwrap()
    }

    fn in_cluster(name: &str) -> Option<String> {
        match name {
            "KUBERNETES_SERVICE_HOST" => Some("fd00::1".into()),
            "KUBERNETES_SERVICE_PORT" => Some("6443".into()),
            _ => None,
        }
    }

    #[test]
    fn a_pod_with_a_token_asks_its_cluster() {
        let account = tempfile::tempdir().unwrap();
        let place = |node: Option<&str>| {
            config("").found(in_cluster, account.path(), node.map(str::to_owned))
        };
        assert!(place(Some("n1")).unwrap().is_none(), "it has no token");
        fs::write(account.path().join("token"), "t").unwrap();
        fs::write(account.path().join("ca.crt"), "").unwrap();
        let found = place(Some("n1")).unwrap().unwrap();
        assert_eq!(found.url, "https://[fd00::1]:6443".parse().unwrap());
        assert_eq!(found.node, "n1");
        assert!(found.auth != AuthConfig::None && !found.tls.is_default());
        assert!(place(None).unwrap_err().contains("NODE_NAME"));
        let outside = config("").found(|_| None, account.path(), Some("n1".into()));
        assert!(outside.unwrap().is_none());
    }

    #[test]
    fn one_that_is_named_is_asked_and_none_is_none() {
        let nowhere = Path::new("/nonexistent");
        let named = config("api = 'http://127.0.0.1:8001'\nnode = 'n2'\n[auth]\ntoken = 'x'\n");
        let found = named.found(in_cluster, nowhere, Some("n1".into())).unwrap().unwrap();
        assert_eq!((found.node.as_str(), found.url.is_https()), ("n2", false));
        assert!(found.auth != AuthConfig::None);
        let none = config("api = 'none'").found(in_cluster, nowhere, None);
        assert!(none.unwrap().is_none());
        let wrong = toml::from_str::<KubernetesConfig>("api = 'sure'").unwrap_err();
        assert!(wrong.message().contains("or \"auto\", or \"none\""), "{wrong}");
    }
}
