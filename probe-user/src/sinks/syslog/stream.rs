//! Messages in a stream. The protocol has no answer: that the other side's kernel has them is all that is
//! ever known, and what it had when the connection broke may have been read by nobody. So the last ones
//! are kept, and sent once more on the next connection.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep},
};

use super::{
    config::Framing,
    connection::{Connection, Peer},
    encode::{Encoder, frame},
};
use crate::{net::unread, sinks::record::Record};

/// What was sent this long before the last batch was read by then, unless the other side hung.
const READ_BY_THEN: Duration = Duration::from_secs(5);
/// How long a new connection is watched for its end before what was sent on it counts: proxies take
/// connections before they know whether anybody is behind them.
const SETTLES: Duration = Duration::from_millis(200);
/// Most records that are kept.
const MOST_KEPT: usize = 500;
/// Most that is kept (bytes), beside the last batch.
const MOST_BYTES: usize = 1024 * 1024;

/// A server.
pub struct Stream {
    peer: Peer,
    framing: Framing,
    connection: Option<Connection>,
    kept: Kept,
}

impl Stream {
    /// At this address; whether anybody is there is not asked yet.
    #[must_use]
    pub fn new(peer: Peer, framing: Framing) -> Self {
        Self { peer, framing, connection: None, kept: Kept::default() }
    }

    /// Sends records, and before them, on a new connection, those that may have come to nobody.
    ///
    /// # Errors
    /// Why they are not known to be at the other side.
    pub async fn send(&mut self, batch: &[Arc<Record>], encoder: &Encoder) -> io::Result<()> {
        // It is put back when all went well: one that is given up in the middle has half a message in it.
        let mut open = self.connection.take();
        if let Some(connection) = &mut open
            && connection.check().await.is_err()
        {
            open = None;
        }
        let is_new = open.is_none();
        let mut connection = match open {
            Some(connection) => connection,
            None => {
                let mut connection = self.peer.connect().await?;
                self.write(&mut connection, self.kept.records(), encoder).await?;
                connection
            }
        };
        self.write(&mut connection, batch.iter(), encoder).await?;
        unread::until_none(&connection).await?;
        if is_new {
            sleep(SETTLES).await;
        }
        // Whoever closed it before this came does not read it.
        connection.check().await?;
        self.kept.add(batch);
        self.connection = Some(connection);
        Ok(())
    }

    async fn write(
        &self,
        to: &mut Connection,
        records: impl Iterator<Item = &Arc<Record>>,
        encoder: &Encoder,
    ) -> io::Result<()> {
        for record in records {
            to.stream.write_all(&frame(encoder.message(record), self.framing)).await?;
        }
        to.stream.flush().await
    }
}

/// The records that were sent last, the oldest first.
#[derive(Default)]
struct Kept {
    records: VecDeque<(Instant, Arc<Record>)>,
    bytes: usize,
}

impl Kept {
    fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.iter().map(|(_, record)| record)
    }

    /// Adds what was sent now, on a connection that is as it should be, and forgets what was read by now.
    fn add(&mut self, batch: &[Arc<Record>]) {
        let now = Instant::now();
        for record in batch {
            self.bytes += record.size();
            self.records.push_back((now, Arc::clone(record)));
        }
        while self.records.len() > batch.len()
            && let Some((sent, record)) = self.records.front()
            && (now.duration_since(*sent) > READ_BY_THEN
                || self.records.len() > MOST_KEPT
                || self.bytes > MOST_BYTES)
        {
            self.bytes -= record.size();
            self.records.pop_front();
        }
    }
}
