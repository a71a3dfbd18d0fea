//! The endpoint as clients meet it, good ones and bad ones.

use std::{fs, net::SocketAddr, path::Path};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};
use tokio_rustls::TlsConnector;

use super::*;
use crate::{config::metrics::MetricsConfig, supervise::Supervisor};

/// An endpoint, and those who keep it going.
struct Endpoint {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    _supervisor: Supervisor,
}

async fn endpoint(config: &MetricsConfig) -> Endpoint {
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut supervisor = Supervisor::new(Arc::clone(&metrics));
    let health = Arc::<Health>::default();
    health.ready(Vec::new());
    let access = Access::of(config).unwrap();
    let look = Box::new(|_: &Metrics| ());
    let exporter = Exporter { metrics: Arc::clone(&metrics), health, access, look };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let clients = supervisor.spawner(&CLIENT);
    supervisor.task(PART, serve(listener, Arc::new(exporter), clients));
    Endpoint { address, metrics, _supervisor: supervisor }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // TLS may miss a polite end: what came is what counts.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn request(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
}

impl Endpoint {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn get(&self, path: &str, headers: &str) -> String {
        exchange(self.connect().await, &request(path, headers)).await
    }

    async fn is_served(&self) {
        let answer = self.get("/metrics", "").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("process_open_fds "));
    }
}

#[tokio::test]
async fn metrics_and_health_are_served_and_nothing_else() {
    let endpoint = endpoint(&MetricsConfig::default()).await;
    endpoint.is_served().await;
    for path in ["/healthz", "/livez", "/readyz"] {
        let answer = endpoint.get(path, "").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");
    }
    assert!(endpoint.get("/", "").await.starts_with("HTTP/1.1 404 "));
    let post = "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n";
    let answer = exchange(endpoint.connect().await, post).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert_eq!(endpoint.metrics.scrapes.get(), 1);
}

#[tokio::test]
async fn without_the_token_there_is_health_alone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "secret\n").unwrap();
    let token_file = Some(file.path().to_path_buf());
    let endpoint = endpoint(&MetricsConfig { token_file, ..Default::default() }).await;
    for headers in ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic secret\r\n"] {
        for path in ["/metrics", "/elsewhere"] {
            let answer = endpoint.get(path, headers).await.to_lowercase();
            assert!(answer.starts_with("http/1.1 401 "), "{answer}");
            assert!(answer.contains("www-authenticate: bearer realm="), "{answer}");
        }
    }
    assert!(endpoint.get("/healthz", "").await.starts_with("HTTP/1.1 200 "));
    assert!(endpoint.get("/readyz", "").await.starts_with("HTTP/1.1 200 "));
    let answer = endpoint.get("/metrics", "Authorization: Bearer secret\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let endpoint = endpoint(&MetricsConfig::default()).await;
    let mut stream = endpoint.connect().await;
    let huge = request("/metrics", &format!("X-Huge: {}\r\n", "a".repeat(1 << 20)));
    let (mut from, mut to) = stream.split();
    // It may hang up before all is sent.
    let write = async { drop(to.write_all(huge.as_bytes()).await) };
    let mut answer = Vec::new();
    let (_, ()) = tokio::join!(from.read_to_end(&mut answer), write);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(endpoint.metrics.scrapes.get(), 0);
    endpoint.is_served().await;
}

#[tokio::test]
async fn a_thousand_that_say_nothing_keep_nobody_out() {
    let endpoint = endpoint(&MetricsConfig::default()).await;
    let mut silent = Vec::new();
    for n in 0..1_000 {
        let mut stream = endpoint.connect().await;
        if n % 2 == 0 {
            stream.write_all(b"GET /metrics HTT").await.unwrap();
        }
        silent.push(stream);
    }
    endpoint.is_served().await;
}

#[tokio::test]
async fn those_who_send_byte_by_byte_keep_nobody_out() {
    let endpoint = endpoint(&MetricsConfig::default()).await;
    let address = endpoint.address;
    let dribbling = (0..200).map(|_| async move {
        loop {
            let mut stream = TcpStream::connect(address).await.unwrap();
            while stream.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    let dribbling: Vec<_> = dribbling.map(tokio::spawn).collect();
    for _ in 0..3 {
        endpoint.is_served().await;
    }
    assert!(dribbling.iter().all(|client| !client.is_finished()));
    dribbling.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn those_who_read_no_answer_keep_nobody_out() {
    let endpoint = endpoint(&MetricsConfig::default()).await;
    let mut deaf = Vec::new();
    let many = request("/metrics", "").replace("close", "keep-alive").repeat(20);
    for _ in 0..80 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let stream = socket.connect(endpoint.address).await.unwrap();
        // As much as it takes without waiting.
        let _ = stream.try_write(many.as_bytes());
        deaf.push(stream);
    }
    endpoint.is_served().await;
}

fn make_identity(dir: &Path, name: &str) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    for (file, text) in [("cert", made.cert.pem()), ("key", made.signing_key.serialize_pem())] {
        fs::write(dir.join("new"), text).unwrap();
        fs::rename(dir.join("new"), dir.join(file)).unwrap();
    }
    made.cert.der().to_vec()
}

async fn ask_by_tls(endpoint: &Endpoint, certificate: &[u8], name: &'static str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.to_vec().into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name).unwrap();
    let stream = endpoint.connect().await;
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(stream) => exchange(stream, &request("/metrics", "")).await,
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn by_tls_and_with_the_certificate_of_the_moment() {
    let dir = tempfile::tempdir().unwrap();
    let first = make_identity(dir.path(), "first.test");
    let [tls_cert, tls_key] = ["cert", "key"].map(|file| Some(dir.path().join(file)));
    let endpoint = endpoint(&MetricsConfig { tls_cert, tls_key, ..MetricsConfig::default() }).await;
    assert!(ask_by_tls(&endpoint, &first, "first.test").await.starts_with("HTTP/1.1 200 "));
    assert!(endpoint.get("/metrics", "").await.is_empty() || endpoint.metrics.scrapes.get() == 1);

    let second = make_identity(dir.path(), "second.test");
    assert!(ask_by_tls(&endpoint, &second, "second.test").await.starts_with("HTTP/1.1 200 "));
    let refused = ask_by_tls(&endpoint, &first, "first.test").await;
    assert!(refused.contains("certificate"), "{refused}");

    fs::write(dir.path().join("cert"), "-----BEGIN CERT").unwrap();
    let still = ask_by_tls(&endpoint, &second, "second.test").await;
    assert!(still.starts_with("HTTP/1.1 200 "), "half a file is no certificate: {still}");

    // Who does not get as far as TLS holds nobody up.
    let _silent = silent(&endpoint).await;
    assert!(ask_by_tls(&endpoint, &second, "second.test").await.starts_with("HTTP/1.1 200 "));
}

/// Clients that connect and do not say a word.
async fn silent(endpoint: &Endpoint) -> Vec<TcpStream> {
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(endpoint.connect().await);
    }
    silent
}
