//! As much of an HTTP client as asking a server what it has takes.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::HANG_GUARD;

/// An answer: its status and its body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    /// The body of an answer that is a success.
    pub fn text(self) -> Result<String> {
        let Self { status, body } = self;
        ensure!((200..300).contains(&status), "the server answered {status}: {body}");
        Ok(body)
    }

    /// The same, as JSON.
    pub fn json(self) -> Result<Value> {
        let text = self.text()?;
        serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
    }
}

/// GETs `/PATH` of a server on the loopback.
pub fn get(port: u16, path: &str) -> Result<Answer> {
    get_with(port, path, "")
}

/// As [`get`], with headers, each of which ends its line.
pub fn get_with(port: u16, path: &str, headers: &str) -> Result<Answer> {
    ask(port, "GET", path, headers, "")
}

/// POSTs JSON.
pub fn post(port: u16, path: &str, body: &str) -> Result<Answer> {
    ask(port, "POST", path, "Content-Type: application/json\r\n", body)
}

fn ask(port: u16, method: &str, path: &str, headers: &str, body: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(HANG_GUARD))?;
    let length = body.len();
    // HTTP/1.0: the answer ends with the connection and is never chunked.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("{method} {path}: the answer is no HTTP: {answer:?}")
    };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("{method} {path}: no status: {head}"))?;
    Ok(Answer { status, body: body.to_owned() })
}
