use crate::sinks::nats::config::NatsConfig;

fn config(toml: &str) -> Result<NatsConfig, String> {
    toml::from_str(toml).map_err(|error: toml::de::Error| error.message().to_owned())
}

#[test]
fn an_address_has_a_port_and_says_whether_tls_must_be() {
    let url = |url: &str| config(&format!("url = {url:?}")).unwrap().url.to_string();
    assert_eq!(url("nats://bus"), "nats://bus:4222");
    assert_eq!(url("tls://bus:1/"), "tls://bus:1");
    assert_eq!(url("nats://[::1]:7"), "nats://[::1]:7");
    for wrong in
        ["bus:4222", "http://bus", "nats://", "nats://bus:x", "nats://bus:99999", "nats://:1"]
    {
        let why = config(&format!("url = {wrong:?}")).unwrap_err();
        assert!(why.contains("nats://bus.example.com:4222"), "{wrong}: {why}");
    }
    let why = config("url = 'nats://me:hunter2@bus'").unwrap_err();
    assert!(why.contains("auth.password_file") && !why.contains("hunter2"), "{why}");
}

#[test]
fn a_subject_is_one_of_ours_and_only_one() {
    let subject = |subject: &str| config(&format!("url = 'nats://b'\nsubject = {subject:?}"));
    assert_eq!(subject("a.b-c").unwrap().subject.as_str(), "a.b-c");
    assert_eq!(config("url = 'nats://b'").unwrap().subject.as_str(), "nodeprobe");
    let long = "a".repeat(257);
    for wrong in ["", "a b", "a..b", ".a", "a.", "a.*", "a.>", "$JS.API", "a\r\nPUB b", "é", &long]
    {
        assert!(subject(wrong).unwrap_err().contains("nodeprobe.findings"), "{wrong}");
    }
}
