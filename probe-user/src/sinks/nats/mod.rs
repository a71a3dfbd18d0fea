//! Records as messages of NATS JetStream, which acknowledges each and leaves doubles out. The protocol is
//! spoken here: the client library of NATS makes the agent larger by more than all that is needed of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Backend,
    backend::{Answer, Sending, Trouble, Verdict},
    record::Record,
};
use crate::net::{TlsConfig, auth::Auth, resolve::Resolver};

pub mod config;
pub mod connection;
pub mod encode;

use config::{NatsUrl, Subject};
use connection::{Connection, Meeting};
use encode::Credentials;

/// How long a connection is kept that nothing is sent on: servers end those that do not answer a PING,
/// which they send every two minutes.
const IDLE: Duration = Duration::from_secs(60);

/// A JetStream.
pub struct NatsBackend {
    url: NatsUrl,
    subject: Subject,
    auth: Auth,
    tls: TlsConfig,
    resolver: Resolver,
    node: String,
    /// The connection, and when it was used last. Taken out while it is in use, so that a call that is
    /// given up leaves none behind that is in the middle of something.
    connection: Option<(Connection, Instant)>,
}

impl NatsBackend {
    /// Publishes as `subject` at the server at `url`.
    #[must_use]
    pub fn new(
        url: NatsUrl,
        subject: Subject,
        auth: Auth,
        tls: TlsConfig,
        resolver: Resolver,
        node: String,
    ) -> Self {
        Self { url, subject, auth, tls, resolver, node, connection: None }
    }

    async fn connection(&mut self) -> Result<Connection, Trouble> {
        if let Some((connection, used)) = self.connection.take()
            && used.elapsed() < IDLE
        {
            return Ok(connection);
        }
        let credentials = &credentials(&mut self.auth);
        let name = &format!("nodeprobe {}", self.node);
        let Self { url, tls, resolver, .. } = self;
        Connection::meet(Meeting { url, tls, resolver, credentials, name }).await
    }

    /// One after the other, so that none overtakes one that has to be sent again.
    async fn publish(&mut self, batch: &[Arc<Record>]) -> Answer {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(trouble) => return Answer::Later { trouble, after: None },
        };
        let mut verdicts = Vec::with_capacity(batch.len());
        for record in batch {
            let (subject, node) = (self.subject.as_str(), &self.node);
            let publish = |reply: &str| encode::publish(subject, reply, node, record);
            match connection.publish(publish).await {
                Ok(verdict) => verdicts.push(verdict),
                Err(trouble) => {
                    verdicts.push(Verdict::Later(trouble));
                    return Answer::Each(verdicts);
                }
            }
            if matches!(verdicts.last(), Some(Verdict::Later(_))) {
                break;
            }
        }
        self.connection = Some((connection, Instant::now()));
        match verdicts.iter().all(|verdict| *verdict == Verdict::Taken) {
            true => Answer::Taken { said: format!("the stream has {} more", batch.len()) },
            false => Answer::Each(verdicts),
        }
    }
}

fn credentials(auth: &mut Auth) -> Credentials {
    match auth {
        Auth::None => Credentials::None {},
        Auth::Basic(user, password) => {
            let pass = password.secret().reveal().to_owned();
            Credentials::User { user: user.clone(), pass }
        }
        // A token goes as it is, without a word before it.
        Auth::Token(_, token) => {
            Credentials::Token { auth_token: token.secret().reveal().to_owned() }
        }
    }
}

impl Backend for NatsBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(self.publish(batch))
    }
}

#[cfg(test)]
mod tests;
