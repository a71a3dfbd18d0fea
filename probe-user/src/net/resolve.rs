//! Names of hosts, looked up on a thread that is there from the start: a node that refuses new threads
//! must not keep the agent from telling so, and the usual look-up starts one when it needs it.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::mpsc::{SyncSender, sync_channel},
    task::{Context, Poll},
    thread, vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::{net::TcpStream, sync::oneshot};
use tower_service::Service;

/// Questions that may wait; whoever asks has given up on the older ones by then.
const QUEUE: usize = 4;
/// Stack of the thread (bytes): getaddrinfo(3) keeps answers of DNS there.
const STACK: usize = 256 * 1024;

struct Question {
    host: String,
    to: oneshot::Sender<io::Result<Vec<SocketAddr>>>,
}

/// Looks names up. Its thread ends with it.
#[derive(Clone)]
pub struct Resolver(Option<SyncSender<Question>>);

impl Resolver {
    /// A resolver for `host`; it needs no thread where that is an address.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn for_host(host: &str) -> Result<Self, String> {
        if host.parse::<IpAddr>().is_ok() {
            return Ok(Self(None));
        }
        let (ask, asked) = sync_channel::<Question>(QUEUE);
        let answer = move || {
            only_files_and_dns();
            for Question { host, to } in asked {
                if !to.is_closed() {
                    // Whoever asked may be gone meanwhile.
                    let _ = to.send((host.as_str(), 0).to_socket_addrs().map(Iterator::collect));
                }
            }
        };
        let builder = thread::Builder::new().name("resolver".into()).stack_size(STACK);
        let thread = builder.spawn(answer);
        thread.map_err(|error| format!("the thread that looks {host} up cannot start: {error}"))?;
        Ok(Self(Some(ask)))
    }

    /// Addresses of `host`, with port 0.
    ///
    /// # Errors
    /// When it has none, or nobody can tell.
    pub async fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, 0)]);
        }
        let busy = || io::Error::other(format!("{host} is still being looked up"));
        let (to, answer) = oneshot::channel();
        let ask = self.0.as_ref().ok_or_else(busy)?;
        ask.try_send(Question { host: host.into(), to }).map_err(|_| busy())?;
        let found = answer.await.map_err(|_| busy())?;
        found.map_err(|error| io::Error::new(error.kind(), format!("{host}: {error}")))
    }

    /// Connects to the first address of `host` that answers.
    ///
    /// # Errors
    /// Of the last address that was tried.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
        for address in self.addresses(host).await? {
            match TcpStream::connect(SocketAddr::new(address.ip(), port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move { Ok(resolver.addresses(name.as_str()).await?.into_iter()) })
    }
}

/// Names come from /etc/hosts and DNS, whatever nsswitch.conf(5) says: glibc would load the libraries of
/// the others into this static program, which were built for another libc.
pub fn only_files_and_dns() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn __nss_configure_lookup(
                database: *const libc::c_char,
                line: *const libc::c_char,
            ) -> libc::c_int;
        }
        // SAFETY: both are strings that end with a zero byte; the function copies what it keeps, and
        // takes a lock of its own (nss/nsswitch.c of glibc).
        unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, runtime};

    use super::*;

    #[test]
    fn a_name_an_address_and_nobody() {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            for host in ["127.0.0.1", "localhost"] {
                let resolver = Resolver::for_host(host).unwrap();
                assert_eq!(resolver.0.is_some(), host == "localhost");
                resolver.connect(host, port).await.unwrap();
            }
            let resolver = Resolver::for_host("nobody.invalid").unwrap();
            let error = resolver.addresses("nobody.invalid").await.unwrap_err();
            assert!(error.to_string().starts_with("nobody.invalid: "), "{error}");
        });
    }
}
