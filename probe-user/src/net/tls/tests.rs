use std::fs;

use super::*;
use crate::net::testing::Authority;

fn config(toml: &str) -> Result<TlsConfig, String> {
    toml::from_str(toml).map_err(|error| error.message().to_owned())
}

#[test]
fn keys_that_need_each_other_are_told() {
    assert!(config("cert_file = '/a'").unwrap_err().contains("needs a key_file"));
    assert!(config("key_file = '/a'").unwrap_err().contains("needs a cert_file"));
    assert!(config("server_name = 'a b'").unwrap_err().starts_with("server_name: \"a b\""));
    assert!(config("ca = '/a'").unwrap_err().contains("ca_file"), "it says what there is");
    assert!(config("").unwrap().is_default());
    let toml = "ca_file = \"/a\"\ncert_file = \"/b\"\nkey_file = \"/c\"\nserver_name = \"d\"\n";
    assert_eq!(toml::to_string(&config(toml).unwrap()).unwrap(), toml);
}

#[test]
fn the_name_is_that_of_the_host_unless_another_is_given() {
    let name = |toml: &str, host: &str| config(toml).unwrap().server_name(host);
    assert_eq!(name("", "logs").unwrap().to_str(), "logs");
    assert_eq!(name("", "::1").unwrap().to_str(), "::1");
    assert_eq!(name("server_name = 'other'", "logs").unwrap().to_str(), "other");
    assert!(name("", "a b").is_err());
}

#[test]
fn a_file_that_is_wrong_is_named() {
    let authority = Authority::make();
    let (cert, key) = authority.sign("a");
    let (_, other_key) = authority.sign("b");
    let dir = tempfile::tempdir().unwrap();
    let garbage = dir.path().join("garbage");
    fs::write(&garbage, "garbage").unwrap();
    let broken = dir.path().join("broken");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let wrong = |toml: &str| config(toml).unwrap().client().unwrap_err();
    let ca = |path: &Path| wrong(&format!("ca_file = {path:?}"));
    assert!(ca(Path::new("/nowhere")).contains("/nowhere: No such file"));
    assert!(ca(&garbage).contains("/garbage: it holds no certificate"));
    assert!(ca(&broken).contains("/broken: "));
    let ca_file = authority.ca();
    let own = |cert: &Path, key: &Path| {
        format!("ca_file = {ca_file:?}\ncert_file = {cert:?}\nkey_file = {key:?}")
    };
    assert!(wrong(&own(&cert, &garbage)).contains("/garbage: "));
    assert!(wrong(&own(&cert, &other_key)).contains("do not go together"));
    config(&own(&cert, &key)).unwrap().client().unwrap();
}
