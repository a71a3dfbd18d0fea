//! Bodies of answers, with a bound on each line and on the whole.

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::api::no_protocol;
use crate::sinks::backend::Trouble;

/// Longest line (bytes): an object is no longer than what etcd takes, 1.5 MiB.
const LONGEST: usize = 2 * 1024 * 1024;

/// A body that comes line by line.
pub struct Lines {
    body: Incoming,
    read: Vec<u8>,
    /// Before this there is no end of a line.
    looked: usize,
}

impl Lines {
    /// The lines of a body.
    #[must_use]
    pub fn of(body: Incoming) -> Self {
        Self { body, read: Vec::new(), looked: 0 }
    }

    /// The next one, without its end; `None` when there are no more.
    ///
    /// # Errors
    /// When the connection breaks, or a line is too long.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        loop {
            let end = self
                .read
                .get(self.looked..)
                .and_then(|new| new.iter().position(|byte| *byte == b'\n'));
            if let Some(end) = end {
                let rest = self.read.split_off(self.looked + end + 1);
                let mut line = std::mem::replace(&mut self.read, rest);
                line.pop();
                self.looked = 0;
                return Ok(Some(line));
            }
            self.looked = self.read.len();
            if !more(&mut self.body, &mut self.read, LONGEST).await? {
                return Ok(None);
            }
        }
    }
}

/// All of a body.
///
/// # Errors
/// When the connection breaks, or it is longer than `longest` (bytes).
pub async fn whole(mut body: Incoming, longest: usize) -> Result<Vec<u8>, Trouble> {
    let mut read = Vec::new();
    while more(&mut body, &mut read, longest).await? {}
    Ok(read)
}

async fn more(body: &mut Incoming, read: &mut Vec<u8>, longest: usize) -> Result<bool, Trouble> {
    let Some(frame) = body.frame().await else { return Ok(false) };
    let frame = frame.map_err(|error| no_protocol(&format!("it breaks off: {error}")))?;
    if let Ok(data) = frame.into_data() {
        if read.len() + data.len() > longest {
            return Err(no_protocol(&format!("there are more than {longest} bytes of one")));
        }
        read.extend_from_slice(&data);
    }
    Ok(true)
}
