use std::{fs, path::Path};

use tokio::{runtime, time::timeout};

use super::*;
use crate::net::testing::{Act, Authority, Stub};

fn block<T>(work: impl Future<Output = T>) -> T {
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Settings that can be changed before the client is made.
#[derive(Default)]
struct Given {
    auth: AuthConfig,
    tls: TlsConfig,
    headers: Headers,
    gzip: bool,
}

impl Given {
    fn client(&self, url: &str) -> Result<Client, String> {
        let Self { auth, tls, headers, gzip } = self;
        let (gzip, url) = (*gzip, &url.parse().unwrap());
        let version = Version::Http1;
        Client::new(&Settings { url, auth, tls, headers, gzip, version, answer: 1024 })
    }
}

fn post(body: &str) -> Post {
    Post { content_type: "text/plain", headers: HeaderMap::new(), body: body.into() }
}

fn deliver(stub: &Stub) -> Answer {
    block(Given::default().client(&stub.url()).unwrap().deliver(post("hello")))
}

fn reason(answer: Answer) -> (Reason, String) {
    match answer {
        Answer::Later { trouble, .. } => (trouble.reason, trouble.text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_is_as_it_is_configured() {
    let stub = Stub::new([]);
    let given = Given {
        auth: toml::from_str("token = 'abc'").unwrap(),
        headers: toml::from_str("X-Tenant = 'me'").unwrap(),
        ..Given::default()
    };
    let url = format!("{}/a/b?c=d", stub.url());
    let answer = block(given.client(&url).unwrap().deliver(post("hello")));
    assert_eq!(answer, Answer::Taken { said: "200 OK".into() });
    let seen = stub.next();
    assert_eq!((seen.path.as_str(), seen.body.as_slice()), ("/a/b?c=d", &b"hello"[..]));
    let header = |name| seen.header(name);
    assert_eq!((header("authorization"), header("x-tenant")), ("Bearer abc", "me"));
    assert_eq!(header("user-agent"), concat!("nodeprobe/", env!("CARGO_PKG_VERSION")));
    assert_eq!((header("content-type"), header("content-encoding")), ("text/plain", ""));
}

#[test]
fn a_long_body_is_compressed_where_that_is_asked_for() {
    let stub = Stub::new([]);
    let mut client = Given { gzip: true, ..Given::default() }.client(&stub.url()).unwrap();
    let long = "long ".repeat(WORTH_GZIP);
    block(async {
        client.deliver(post(&long)).await;
        client.deliver(post("short")).await;
    });
    let (first, second) = (stub.next(), stub.next());
    assert_eq!((first.header("content-encoding"), &first.body), ("gzip", &long.clone().into()));
    assert!(first.header("content-length").parse::<usize>().unwrap() < long.len() / 10);
    assert_eq!((second.header("content-encoding"), &*second.body), ("", &b"short"[..]));
}

#[test]
fn what_fails_is_told_by_its_kind() {
    let stub = Stub::new([Act::Garbage, Act::Close, Act::Break, Act::answer(500, "oops\n")]);
    let (reason_of, text) = reason(deliver(&stub));
    assert_eq!(reason_of, Reason::Protocol, "{text}");
    assert!(text.starts_with(&stub.url()), "{text}");
    assert_eq!(reason(deliver(&stub)).0, Reason::Connect);
    let (broken, text) = reason(deliver(&stub));
    assert_eq!(broken, Reason::Protocol);
    assert!(text.contains("200 OK") && text.contains("breaks off"), "{text}");
    assert_eq!(reason(deliver(&stub)), (Reason::Server, "500 Internal Server Error: oops".into()));
    let (nobody, text) = block(async {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        reason(Given::default().client(&url).unwrap().deliver(post("")).await)
    });
    assert!(nobody == Reason::Connect && text.contains("Connection refused"), "{text}");
    let (unknown, text) = block(async {
        reason(Given::default().client("http://a.invalid").unwrap().deliver(post("")).await)
    });
    assert!(unknown == Reason::Connect && text.contains("a.invalid: "), "{text}");
}

#[test]
fn one_who_gives_up_on_a_server_that_hangs_can_try_again() {
    let stub = Stub::new([Act::Hang]);
    let mut client = Given::default().client(&stub.url()).unwrap();
    block(async {
        let hangs = client.deliver(post("first"));
        timeout(Duration::from_millis(50), hangs).await.expect_err("it hangs");
        let taken = client.deliver(post("second")).await;
        assert!(matches!(taken, Answer::Taken { .. }), "{taken:?}");
    });
}

#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    let stub = Stub::new([Act::answer(200, vec![b'a'; 4096])]);
    let mut client = Given::default().client(&stub.url()).unwrap();
    let reply = block(client.post(post(""))).unwrap();
    assert_eq!((reply.body.len(), reply.whole), (1024, false));
}

/// What a client with these TLS settings makes of a server called `name`.
fn by_tls(authority: &Authority, name: &str, clients: bool, tls: &str) -> Answer {
    let stub = Stub::tls(authority.server(name, clients));
    let url = format!("https://localhost:{}", stub.address.port());
    let given = Given { tls: toml::from_str(tls).unwrap(), ..Given::default() };
    block(given.client(&url).unwrap().deliver(post("hello")))
}

#[test]
fn a_server_must_be_signed_and_called_as_expected() {
    let (ours, theirs) = (Authority::make(), Authority::make());
    let trusting = |authority: &Authority| format!("ca_file = {:?}\n", authority.ca());
    let taken = by_tls(&ours, "localhost", false, &trusting(&ours));
    assert!(matches!(taken, Answer::Taken { .. }), "{taken:?}");
    let (wrong, text) = reason(by_tls(&theirs, "localhost", false, &trusting(&ours)));
    assert!(wrong == Reason::Tls && text.contains("tls.ca_file"), "{text}");
    let (wrong, text) = reason(by_tls(&ours, "logs", false, &trusting(&ours)));
    assert!(wrong == Reason::Tls && text.contains("tls.server_name"), "{text}");
    let named = trusting(&ours) + "server_name = 'logs'";
    let taken = by_tls(&ours, "logs", false, &named);
    assert!(matches!(taken, Answer::Taken { .. }), "{taken:?}");
}

#[test]
fn a_server_may_ask_who_we_are() {
    let (ours, theirs) = (Authority::make(), Authority::make());
    let as_signed_by = |authority: &Authority| {
        let (cert, key) = authority.sign("node-1");
        format!("ca_file = {:?}\ncert_file = {cert:?}\nkey_file = {key:?}", ours.ca())
    };
    let taken = by_tls(&ours, "localhost", true, &as_signed_by(&ours));
    assert!(matches!(taken, Answer::Taken { .. }), "{taken:?}");
    let stranger = reason(by_tls(&ours, "localhost", true, &as_signed_by(&theirs)));
    assert_eq!(stranger.0, Reason::Tls, "{}", stranger.1);
    let (nobody, text) =
        reason(by_tls(&ours, "localhost", true, &format!("ca_file = {:?}", ours.ca())));
    assert!(nobody == Reason::Tls && text.contains("tls.cert_file"), "{text}");
}

#[test]
fn a_replaced_ca_is_used_without_a_restart() {
    let (old, new) = (Authority::make(), Authority::make());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let replace = |by: &Path| {
        fs::copy(by, dir.path().join("next")).unwrap();
        fs::rename(dir.path().join("next"), &path).unwrap();
    };
    replace(&old.ca());
    let stub = Stub::tls(new.server("localhost", false));
    let tls = toml::from_str(&format!("ca_file = {path:?}")).unwrap();
    let url = format!("https://localhost:{}", stub.address.port());
    let mut client = Given { tls, ..Given::default() }.client(&url).unwrap();
    block(async {
        assert_eq!(reason(client.deliver(post("")).await).0, Reason::Tls);
        fs::write(&path, "half of a certif").unwrap();
        assert_eq!(reason(client.deliver(post("")).await).0, Reason::Tls);
        replace(&new.ca());
        let taken = client.deliver(post("")).await;
        assert!(matches!(taken, Answer::Taken { .. }), "{taken:?}");
    });
}

#[test]
fn tls_and_no_tls_are_told_apart() {
    let authority = Authority::make();
    let tls: TlsConfig = toml::from_str(&format!("ca_file = {:?}", authority.ca())).unwrap();
    let given = Given { tls, ..Given::default() };
    let why = given.client("http://localhost").err().unwrap();
    assert!(why.contains("begins with http://"), "{why}");
    let plain = Stub::new([]);
    let url = format!("https://localhost:{}", plain.address.port());
    let (wrong, text) = reason(block(given.client(&url).unwrap().deliver(post(""))));
    assert!(wrong == Reason::Tls && text.contains("does it speak TLS"), "{text}");
    let secret = Stub::tls(authority.server("localhost", false));
    let (wrong, text) = reason(deliver(&secret));
    assert!(matches!(wrong, Reason::Protocol | Reason::Connect), "{text}");
}
