//! The NATS sink and a real server with a JetStream.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::support::{
    HANG_GUARD,
    agent::{Agent, NODE, PATIENT},
    capture::capture,
    ids::{exactly, id_of},
    programs,
    server::{Server, Site, takes_connections},
};

const STREAM: &str = "FINDINGS";

pub fn server(more: &'static [&'static str]) -> Result<Server> {
    let make = move |site: &Site| {
        let mut command = programs::program("nats-server")?;
        command.args(["-a", "127.0.0.1", "-p", &site.ports[0].to_string(), "-js", "-sd"]);
        command.arg(site.path("data")).args(more);
        Ok(command)
    };
    Server::start("nats-server", 1, make, takes_connections)
}

fn agent(server: &Server, more: &str) -> Result<Agent> {
    let url = format!("nats://{}", server.site().address(0));
    Agent::new(&format!("{PATIENT}\n[sinks.test.nats]\nurl = '{url}'\n{more}"))
}

/// Asks the server's own API, as its command line tool does.
pub struct Client(BufReader<TcpStream>);

impl Client {
    pub fn connect(server: &Server, credentials: &str) -> Result<Self> {
        let stream = TcpStream::connect(server.site().address(0))?;
        stream.set_read_timeout(Some(HANG_GUARD))?;
        let mut client = Self(BufReader::new(stream));
        client.line()?;
        client.say(format!("CONNECT {{\"verbose\":false{credentials}}}\r\nSUB inbox 1\r\n"))?;
        Ok(client)
    }

    fn say(&mut self, text: String) -> Result<()> {
        Ok(self.0.get_mut().write_all(text.as_bytes())?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "the server ended the connection");
        Ok(line)
    }

    fn ask(&mut self, subject: &str, question: &Value) -> Result<Value> {
        let question = question.to_string();
        self.say(format!("PUB $JS.API.{subject} inbox {}\r\n{question}\r\n", question.len()))?;
        let line = loop {
            match self.line()? {
                line if line.starts_with("PING") => self.say("PONG\r\n".into())?,
                line if line.starts_with("MSG") => break line,
                line => ensure!(line.starts_with("INFO"), "the server said {line}"),
            }
        };
        let length = line.split_whitespace().last().and_then(|length| length.parse().ok());
        let mut body = vec![0; length.with_context(|| format!("no length: {line}"))?];
        self.0.read_exact(&mut body)?;
        self.line()?;
        let answer: Value = serde_json::from_slice(&body)?;
        ensure!(answer.get("error").is_none(), "the server answered {answer}");
        Ok(answer)
    }

    pub fn make_stream(&mut self) -> Result<()> {
        let stream = json!({ "name": STREAM, "subjects": ["nodeprobe"], "storage": "file" });
        self.ask(&format!("STREAM.CREATE.{STREAM}"), &stream).map(drop)
    }

    /// Headers and findings of all messages, in their order.
    fn messages(&mut self) -> Result<Vec<(String, Value)>> {
        let info = self.ask(&format!("STREAM.INFO.{STREAM}"), &json!({}))?;
        let last = info["state"]["last_seq"].as_u64().context("no last_seq")?;
        let message = |sequence| {
            let answer =
                self.ask(&format!("STREAM.MSG.GET.{STREAM}"), &json!({ "seq": sequence }))?;
            let bytes = |field| decoded(answer["message"][field].as_str().unwrap_or_default());
            Ok((String::from_utf8(bytes("hdrs")?)?, serde_json::from_slice(&bytes("data")?)?))
        };
        (1..=last).map(message).collect()
    }

    pub fn ids(&mut self) -> Result<Vec<String>> {
        self.messages()?.iter().map(|(_, finding)| id_of(finding)).collect()
    }
}

/// Base64, as JSON of Go has bytes.
fn decoded(text: &str) -> Result<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter(|byte| *byte != b'=').map(|byte| {
        let place = DIGITS.iter().position(|digit| *digit == byte);
        place.with_context(|| format!("no base64: {text}"))
    });
    let digits: Vec<usize> = digits.collect::<Result<_>>()?;
    let three = |four: &[usize]| {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - four.len()));
        [bits >> 16, bits >> 8, bits].map(|byte| byte as u8).into_iter().take(four.len() - 1)
    };
    Ok(digits.chunks(4).flat_map(three).collect())
}

#[test]
fn what_is_found_is_in_the_stream() -> Result<()> {
    let server = server(&[])?;
    let mut client = Client::connect(&server, "")?;
    client.make_stream()?;
    let run = agent(&server, "")?.replay(&capture(20)?)?;
    let messages = client.messages()?;
    exactly(&run.ids, &client.ids()?)?;
    for (headers, finding) in messages {
        let id = format!("\r\nNats-Msg-Id: {}\r\n", id_of(&finding)?);
        assert!(headers.contains(&id), "{headers}");
        assert!(headers.contains(&format!("\r\nnode: {NODE}\r\n")), "{headers}");
        assert!(headers.contains("\r\nrule: fork-failures\r\n"), "{headers}");
    }
    Ok(())
}

#[test]
fn nothing_is_lost_nor_doubled_when_the_server_is_killed() -> Result<()> {
    let mut server = server(&[])?;
    Client::connect(&server, "")?.make_stream()?;
    let agent = agent(&server, "")?;
    let capture = capture(3_000)?;
    let mut running = agent.start(&capture)?;
    running.finds(2_500)?;
    server.kill()?;
    running.says("wait and are sent")?;
    server.up()?;
    let run = running.finish()?;
    assert_eq!(run.ids.len(), 6_000);
    exactly(&run.ids, &Client::connect(&server, "")?.ids()?)
}

#[test]
fn a_stream_that_is_missing_is_waited_for() -> Result<()> {
    let server = server(&[])?;
    let agent = agent(&server, "")?;
    let capture = capture(2_000)?;
    let running = agent.start(&capture)?;
    running.says("no stream takes this subject")?;
    let mut client = Client::connect(&server, "")?;
    client.make_stream()?;
    let run = running.finish()?;
    exactly(&run.ids, &client.ids()?)
}

#[test]
fn only_who_has_the_token_is_let_in() -> Result<()> {
    let server = server(&["--auth", "hunter2"])?;
    let mut client = Client::connect(&server, ",\"auth_token\":\"hunter2\"")?;
    client.make_stream()?;
    let wrong = agent(&server, "auth.token = 'swordfish'")?;
    let capture = capture(5)?;
    let mut stranger = wrong.start(&capture)?;
    stranger.finds(10)?;
    let run = stranger.end()?;
    assert!(run.log.contains("Authorization Violation"), "{}", run.log);
    assert!(!run.log.contains("swordfish"), "{}", run.log);
    assert!(client.ids()?.is_empty());
    let run = agent(&server, "auth.token = 'hunter2'")?.replay(&capture)?;
    exactly(&run.ids, &client.ids()?)
}
