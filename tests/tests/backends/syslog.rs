//! The syslog sink and a real rsyslog, by every transport.

use std::fs;

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

use crate::support::{
    agent::{Agent, NODE, PATIENT},
    capture::capture,
    ids::{exactly, nothing_lost_nor_reordered},
    programs,
    server::{Server, Site, has_made, takes_connections},
    until,
};

/// What arrived, a JSON object a message.
const OUT: &str = "out.json";
/// Where rsyslog has its modules.
const MODULES: &str = "usr/lib/x86_64-linux-gnu/rsyslog";

/// Writes whatever comes in, parsed, to [`OUT`].
fn config(site: &Site, modules: &[&str], inputs: &str) -> Result<String> {
    let lib = programs::debian()?.join(MODULES);
    let load = |module: &&str| format!("module(load=\"{}/{module}.so\")\n", lib.display());
    let modules: String = modules.iter().map(load).collect();
    let properties = ["pri", "hostname", "app-name", "msgid", "structured-data", "msg"]
        .map(|name| format!("property(outname=\"{name}\" name=\"{name}\" format=\"jsonf\")"))
        .join(" constant(value=\",\") ");
    let time =
        "property(outname=\"at\" name=\"timereported\" dateFormat=\"rfc3339\" format=\"jsonf\")";
    let (directory, out) = (site.dir.path().display(), site.path(OUT));
    Ok(format!(
        r#"global(workDirectory="{directory}" maxMessageSize="64k"
       parser.escapeControlCharactersOnReceive="off")
{modules}
template(name="json" type="list") {{
  constant(value="{{") {properties} constant(value=",") {time} constant(value="}}\n")
}}
{inputs}
action(type="omfile" file="{}" template="json" asyncWriting="off" flushOnTXEnd="on")
"#,
        out.display()
    ))
}

fn rsyslogd(site: &Site, config: &str) -> Result<std::process::Command> {
    fs::write(site.path("r.conf"), config)?;
    let mut command = programs::of_debian("usr/sbin/rsyslogd")?;
    let modules = programs::debian()?.join(MODULES);
    command.arg("-n").arg("-f").arg(site.path("r.conf")).arg("-i").arg(site.path("pid"));
    command.arg("-M").arg(modules);
    Ok(command)
}

/// A server that takes a stream by TCP on its first port.
pub fn by_tcp(more: &'static str) -> Result<Server> {
    let make = move |site: &Site| {
        let input = format!(
            "input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{}\" {more})",
            site.ports[0]
        );
        rsyslogd(site, &config(site, &["imtcp"], &input)?)
    };
    Server::start("rsyslogd", 1, make, takes_connections)
}

/// What arrived until now.
fn arrived(server: &Server) -> Result<Vec<Value>> {
    // Whoever speaks TLS where none is spoken writes anything.
    let bytes = fs::read(server.site().path(OUT)).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line:?}")))
        .collect()
}

/// The id in a message's structured data.
fn id(message: &Value) -> Result<String> {
    let data = message["structured-data"].as_str().context("no structured data")?;
    let id = data.split_once("id=\"").and_then(|(_, rest)| rest.split_once('"'));
    Ok(id.with_context(|| format!("no id in {data}"))?.0.to_owned())
}

/// Ids of the messages of the agent.
pub fn ids(server: &Server) -> Result<Vec<String>> {
    let arrived = arrived(server)?;
    arrived.iter().filter(|message| message["app-name"] == "nodeprobe").map(id).collect()
}

/// Waits until all have arrived, as rsyslog writes when it likes.
fn all(server: &Server, expected: &[String]) -> Result<()> {
    until("all messages are written", || nothing_lost_nor_reordered(expected, &ids(server)?))
}

fn agent(to: &str, more: &str) -> Result<Agent> {
    Agent::new(&format!("{PATIENT}\n[sinks.test.syslog]\nto = '{to}'\n{more}"))
}

#[test]
fn by_tcp_all_of_a_message_arrives() -> Result<()> {
    let server = by_tcp("")?;
    let agent = agent(&format!("tcp://{}", server.site().address(0)), "body = 'json'")?;
    let run = agent.replay(&capture(20)?)?;
    all(&server, &run.ids)?;
    exactly(&run.ids, &ids(&server)?)?;
    for message in arrived(&server)? {
        let of = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (of("hostname"), of("app-name"), of("msgid")),
            (NODE.into(), "nodeprobe".into(), "fork-failures".into())
        );
        let firing = of("structured-data").contains("state=\"firing\"");
        assert_eq!(of("pri"), if firing { "26" } else { "29" }, "daemon.crit, then daemon.notice");
        let text = of("msg");
        let json: Value = serde_json::from_str(text.trim_start_matches([' ', '\u{feff}']))?;
        assert_eq!(
            format!("{}-{}", json["id"].as_str().unwrap_or_default(), json["revision"]),
            id(&message)?
        );
        // In microseconds, by the finding's own clock.
        let at = json["last_seen"].as_str().unwrap_or_default();
        assert!(of("at").starts_with(at.get(..19).unwrap_or_default()), "{} {at}", of("at"));
    }
    Ok(())
}

#[test]
fn newlines_can_tell_messages_apart_too() -> Result<()> {
    let server = by_tcp("supportOctetCountedFraming=\"off\"")?;
    let to = format!("tcp://{}", server.site().address(0));
    let run = agent(&to, "framing = 'lf'")?.replay(&capture(20)?)?;
    all(&server, &run.ids)?;
    exactly(&run.ids, &ids(&server)?)
}

#[test]
fn ten_thousand_arrive_by_tcp() -> Result<()> {
    let server = by_tcp("")?;
    let to = format!("tcp://{}", server.site().address(0));
    let run = agent(&to, "")?.replay(&capture(10_000)?)?;
    assert_eq!(run.ids.len(), 20_000);
    all(&server, &run.ids)
}

#[test]
fn a_server_that_is_down_for_the_whole_incident_gets_it_all_when_it_comes() -> Result<()> {
    let make = |site: &Site| {
        let input =
            format!("input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{}\")", site.ports[0]);
        rsyslogd(site, &config(site, &["imtcp"], &input)?)
    };
    let mut server = Server::stopped("rsyslogd", 1, make, takes_connections)?;
    let agent = agent(&format!("tcp://{}", server.site().address(0)), "")?;
    let capture = capture(500)?;
    let mut running = agent.start(&capture)?;
    running.finds(1_000)?;
    running.says("Connection refused")?;
    server.up()?;
    let run = running.finish()?;
    all(&server, &run.ids)
}

#[test]
fn a_server_that_restarts_gets_again_what_it_may_not_have_read() -> Result<()> {
    let mut server = by_tcp("")?;
    let to = format!("tcp://{}", server.site().address(0));
    let agent = agent(&to, "")?;
    let capture = capture(3_000)?;
    let mut running = agent.start(&capture)?;
    running.finds(2_500)?;
    server.down()?;
    running.says("wait and are sent")?;
    server.up()?;
    let run = running.finish()?;
    all(&server, &run.ids)
}

#[test]
fn a_unix_socket_takes_them() -> Result<()> {
    let make = |site: &Site| {
        let socket = site.path("log");
        let input = format!(
            "input(type=\"imuxsock\" socket=\"{}\" createPath=\"on\" useSpecialParser=\"off\" parseHostname=\"on\" useSysTimeStamp=\"off\" ratelimit.interval=\"0\")",
            socket.display()
        );
        let config = config(site, &["imuxsock"], &input)?
            .replace("imuxsock.so\")", "imuxsock.so\" SysSock.Use=\"off\")");
        rsyslogd(site, &config)
    };
    let server = Server::start("rsyslogd", 0, make, has_made("log"))?;
    let to = format!("unix:{}", server.site().path("log").display());
    let run = agent(&to, "")?.replay(&capture(200)?)?;
    all(&server, &run.ids)?;
    exactly(&run.ids, &ids(&server)?)
}

#[test]
fn udp_takes_them_once_somebody_listens() -> Result<()> {
    let make = |site: &Site| {
        let input = format!(
            "input(type=\"imudp\" address=\"127.0.0.1\" port=\"{0}\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"{0}\")",
            site.ports[0]
        );
        rsyslogd(site, &config(site, &["imtcp", "imudp"], &input)?)
    };
    let mut server = Server::stopped("rsyslogd", 1, make, takes_connections)?;
    let agent = agent(&format!("udp://{}", server.site().address(0)), "")?;
    let capture = capture(20)?;
    let running = agent.start(&capture)?;
    running.says("Connection refused")?;
    server.up()?;
    let run = running.finish()?;
    all(&server, &run.ids)
}

/// Makes an authority, and a certificate of `localhost` that it signed.
fn certificates(site: &Site) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".into()])?.signed_by(&key, &issuer)?;
    fs::write(site.path("ca.pem"), issuer.pem())?;
    fs::write(site.path("cert.pem"), certificate.pem())?;
    Ok(fs::write(site.path("key.pem"), key.serialize_pem())?)
}

#[test]
fn by_tls_they_arrive_where_the_server_is_trusted() -> Result<()> {
    let make = |site: &Site| {
        if !site.path("ca.pem").exists() {
            certificates(site)?;
        }
        let input =
            format!("input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{}\")", site.ports[0]);
        let tls = format!(
            "global(defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\")\n",
            site.path("ca.pem").display(),
            site.path("cert.pem").display(),
            site.path("key.pem").display()
        );
        let driver = "imtcp.so\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")";
        let config = tls + &config(site, &["imtcp"], &input)?.replace("imtcp.so\")", driver);
        rsyslogd(site, &config)
    };
    let server = Server::start("rsyslogd", 1, make, takes_connections)?;
    let to = format!("tls://localhost:{}", server.port());
    let ca = format!("tls.ca_file = {:?}", server.site().path("ca.pem"));
    let run = agent(&to, &ca)?.replay(&capture(200)?)?;
    all(&server, &run.ids)?;
    exactly(&run.ids, &ids(&server)?)?;
    // An agent that trusts somebody else sends nothing.
    let strange = tempfile::tempdir()?;
    let site = Site { ports: Vec::new(), dir: strange };
    certificates(&site)?;
    let ca = format!("tls.ca_file = {:?}", site.path("ca.pem"));
    let agent = agent(&to, &ca)?;
    let capture = capture(1)?;
    let running = agent.start(&capture)?;
    running.says("tls.ca_file")?;
    let before = ids(&server)?.len();
    running.kill()?;
    ensure!(ids(&server)?.len() == before, "something was sent");
    Ok(())
}
