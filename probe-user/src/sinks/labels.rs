//! Labels that a configuration adds to all that a sink sends: names and values that are the same for each
//! record, such as the cluster's.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// Most of them: each is an index of the other side.
const MOST: usize = 8;

/// `labels`: names, as Prometheus has them, and values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let labels = BTreeMap::<String, String>::deserialize(deserializer)?;
        if labels.len() > MOST {
            return Err(D::Error::custom(format!("{} labels; at most {MOST} are", labels.len())));
        }
        let begins = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        let good = |name: &str| {
            name.bytes().next().is_some_and(begins)
                && !name.starts_with("__")
                && name.bytes().all(|byte| begins(byte) || byte.is_ascii_digit())
        };
        match labels.keys().find(|name| !good(name)) {
            None => Ok(Self(labels)),
            Some(name) => Err(D::Error::custom(format!(
                "{name:?} is no name of a label: letters, digits and _, no digit or __ at its start"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let of = |toml: &str| toml::from_str::<Labels>(toml).map_err(|e| e.message().to_owned());
        assert_eq!(of("cluster = 'a b'").unwrap().0["cluster"], "a b");
        for wrong in ["'' = ''", "'a-b' = ''", "__name__ = ''", "1a = ''"] {
            assert!(of(wrong).unwrap_err().contains("no name of a label"), "{wrong}");
        }
        let many: String = (0..=MOST).map(|n| format!("l{n} = ''\n")).collect();
        assert!(of(&many).unwrap_err().contains("at most 8"));
    }
}
