//! What is taken from the configuration at the start only.

use serde::Serialize;
use serde_json::Value;

use super::Config;

macro_rules! fixed {
    ($($section:ident $(. $key:ident)?),+ $(,)?) => {
        /// Puts the old values of what only a restart changes into a new configuration, and names the
        /// keys that wait for one.
        #[must_use]
        pub fn keep(new: &mut Config, old: &Config) -> Vec<String> {
            let mut kept = Vec::new();
            $(if new.$section $(.$key)? != old.$section $(.$key)? {
                let name = concat!(stringify!($section) $(, ".", stringify!($key))?);
                kept.extend(differences(name, &old.$section $(.$key)?, &new.$section $(.$key)?));
                new.$section $(.$key)? = old.$section $(.$key)?.clone();
            })+
            kept
        }
    };
}

// What has an open socket, a file or a thread behind it, or went into the kernel. Sinks, thresholds and
// findings are not here.
fixed! {
    output,
    spool,
    metrics,
    canary,
    enrich,
    kubernetes,
    fork.poll,
    rtnl.least_wait_ms,
    fd.poll,
    fd.breakdown_at,
}

/// Names of the keys below `name` that differ; the name itself where what differs is not shown.
pub fn differences<T: Serialize>(name: &str, old: &T, new: &T) -> Vec<String> {
    let value = |of: &T| serde_json::to_value(of).unwrap_or_default();
    let mut names = Vec::new();
    differ(name, &value(old), &value(new), &mut names);
    if names.is_empty() {
        names.push(name.into());
    }
    names
}

fn differ(name: &str, old: &Value, new: &Value, names: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let gone = old.keys().filter(|key| !new.contains_key(*key));
            for key in new.keys().chain(gone) {
                let of =
                    |table: &serde_json::Map<_, _>| table.get(key).cloned().unwrap_or_default();
                differ(&format!("{name}.{key}"), &of(old), &of(new), names);
            }
        }
        _ if old != new => names.push(name.into()),
        _ => {}
    }
}

/// Names of the keys that differ outside of `[sinks]`, which tell themselves what becomes of them.
#[must_use]
pub fn changed(old: &Config, new: &Config) -> Vec<String> {
    macro_rules! of {
        ($($section:ident),+) => {{
            // A new section that is not named here does not compile.
            let Config { sinks: _, $($section: _),+ } = old;
            let mut names = Vec::new();
            $(if old.$section != new.$section {
                names.extend(differences(stringify!($section), &old.$section, &new.$section));
            })+
            names
        }};
    }
    of!(
        output, events, spool, metrics, canary, enrich, kubernetes, findings, tc, fork, netlink,
        rtnl, fd, firewall
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    #[test]
    fn what_needs_a_restart_is_kept_and_named_by_key() {
        let old = Config::default();
        let text = "[metrics]\nlisten = \"none\"\n[canary]\nevery = \"2h\"\n[fd]\npoll = \"5s\"\n\
                    [tc]\nwarn_writes = 5\n[fork]\npoll = \"9s\"\nfailures = 6\n";
        let mut new = parse("n.toml", text).unwrap();
        let kept = keep(&mut new, &old);
        assert_eq!(kept, ["metrics.listen", "canary.every", "fork.poll", "fd.poll"]);
        assert_eq!(changed(&old, &new), ["tc.warn_writes", "fork.failures"]);
        assert_eq!((new.metrics, new.fork.poll), (old.metrics, old.fork.poll));
        assert_eq!((new.tc.warn_writes, new.fork.failures), (5, 6));
    }

    #[test]
    fn what_is_not_shown_is_named_by_its_table() {
        #[derive(Serialize)]
        struct Hidden(&'static str);
        let differ = |old, new| differences("table", &old, &new);
        assert_eq!(differ(Hidden("a"), Hidden("b")), ["table"]);
        #[derive(Serialize)]
        struct Secret(#[serde(skip)] &'static str);
        let secrets = (Secret("a"), Secret("b"));
        assert_ne!(secrets.0.0, secrets.1.0);
        assert_eq!(differences("table", &secrets.0, &secrets.1), ["table"]);
    }
}
