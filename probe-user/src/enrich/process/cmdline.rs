//! A command line fit to be shown: short, and without what looks like a secret.

/// Longest command line shown (bytes).
const LONGEST: usize = 256;

/// What stands for a secret.
const MASK: &str = "***";

/// Parts of the names of flags and variables whose values are secrets.
const SECRET: [&str; 11] = [
    "token",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "credential",
    "apikey",
    "api-key",
    "api_key",
    "access-key",
    "access_key",
];

/// Endings of such names, where the word alone would be in too many others.
const SECRET_ENDS: [&str; 5] = ["-pass", "_pass", "-pwd", "_pwd", "-key-data"];

/// Endings of names whose values only say where a secret is.
const PLACES: [&str; 6] = ["file", "path", "dir", "name", "-ttl", "-url"];

/// The arguments in one line, spaces for the NULs between them. The values of obviously secret flags
/// and variables are replaced; a secret that nothing gives away as one is not known to be one.
#[must_use]
pub fn shown(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut words: Vec<String> = Vec::new();
    let mut after_flag = false;
    for argument in text.trim_end_matches('\0').split('\0') {
        let masked = if after_flag { MASK.to_owned() } else { mask(argument) };
        let flag = argument.starts_with('-') && !argument.contains(['=', ':', ' ']);
        after_flag = !after_flag && flag && is_secret(argument);
        words.push(masked);
    }
    let line = words.join(" ");
    let end = (0..=LONGEST.min(line.len())).rev().find(|end| line.is_char_boundary(*end))?;
    let line = line.get(..end)?;
    (!line.is_empty()).then(|| line.to_owned())
}

/// Replaces the rest of an argument from where a secret begins in it: `--token=…`, `TOKEN=…`,
/// `"token":…`, `--token …` in a line for a shell, `Bearer …`, `https://user:…@`.
fn mask(argument: &str) -> String {
    let separators = argument.char_indices().filter(|(_, c)| matches!(c, '=' | ':' | ' '));
    for (at, separator) in separators {
        let before = argument.get(..at).unwrap_or_default().trim_end_matches(['"', '\'']);
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = before.rsplit(|c| !named(c)).next().unwrap_or_default();
        let secret = match separator {
            ' ' => name.eq_ignore_ascii_case("bearer") || name.starts_with('-') && is_secret(name),
            _ => is_secret(name),
        };
        if secret {
            return format!("{}{MASK}", argument.get(..=at).unwrap_or_default());
        }
    }
    mask_url(argument).unwrap_or_else(|| argument.to_owned())
}

/// Replaces the password in the authority of a URL (RFC 3986, 3.2.1).
fn mask_url(argument: &str) -> Option<String> {
    let (scheme, rest) = argument.split_once("://")?;
    let authority = rest.split('/').next()?;
    let (user, host) = authority.rsplit_once('@')?;
    let (user, _) = user.split_once(':')?;
    let path = rest.get(authority.len()..)?;
    Some(format!("{scheme}://{user}:{MASK}@{host}{path}"))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let place = PLACES.iter().any(|end| name.ends_with(end));
    let secret = SECRET.iter().any(|part| name.contains(part))
        || SECRET_ENDS.iter().any(|end| name.ends_with(end))
        || name == "authorization";
    secret && !place
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_masked_and_the_rest_is_not() {
        for (arguments, expected) in [
            ("tc\0filter\0add\0dev\0cali1\0", "tc filter add dev cali1"),
            ("felix\0--token=abc\0-v\0", "felix --token=*** -v"),
            ("felix\0--token\0abc\0-v\0", "felix --token *** -v"),
            ("a\0--db-password\0-x\0--yes\0", "a --db-password *** --yes"),
            ("env\0API_KEY=a=b\0DB_PASS=x\0A=1\0", "env API_KEY=*** DB_PASS=*** A=1"),
            ("sh\0-c\0TOKEN=abc run; ls\0", "sh -c TOKEN=***"),
            ("sh\0-c\0login --secret abc\0", "sh -c login --secret ***"),
            ("curl\0-H\0Authorization: Bearer abc\0", "curl -H Authorization:***"),
            ("curl\0-H\0Bearer abc\0", "curl -H Bearer ***"),
            ("curl\0-d\0{\"password\":\"x\"}\0", "curl -d {\"password\":***"),
            ("pull\0https://me:abc@host/a@b\0", "pull https://me:***@host/a@b"),
            ("get\0http://host:80/a\0", "get http://host:80/a"),
            (
                "kubelet\0--authorization-mode=Webhook\0--token-auth-file=/a\0--key-file=/b\0",
                "kubelet --authorization-mode=Webhook --token-auth-file=/a --key-file=/b",
            ),
        ] {
            assert_eq!(shown(arguments.as_bytes()).as_deref(), Some(expected));
        }
        assert_eq!(shown(b""), None);
        assert_eq!(shown(b"\0\0"), None);
    }

    proptest! {
        #[test]
        fn is_bounded_and_never_panics(bytes in any::<Vec<u8>>(), end in 200_usize..300) {
            let mut long = vec![b'x'; end];
            long.extend(bytes);
            long.extend("é".repeat(200).bytes());
            prop_assert!(shown(&long).is_some_and(|line| line.len() <= LONGEST));
        }
    }
}
