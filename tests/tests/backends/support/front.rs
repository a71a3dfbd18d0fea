//! What stands before a backend of many agents: it counts what each sends, and makes trouble for each once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

/// Header of a request by which an agent tells its name; not counted.
pub const AGENT: &str = "x-agent";

/// What happens to the next request of each agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// It is refused for now, with a pause of a second asked for.
    Busy,
    /// The server gets it, and its answer is lost.
    LostAnswer,
}

/// What went through.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Requests that the server took, by agent.
    pub taken: BTreeMap<String, usize>,
    /// Bytes of those requests before their bodies, and of their bodies.
    pub heads: usize,
    pub bodies: usize,
    /// Requests that were answered with 429.
    pub busy: usize,
    /// Requests that the server took, and whose answer was lost.
    pub lost_answers: usize,
    /// Agents whose requests found no server since the trouble changed.
    pub in_vain: BTreeSet<String>,
}

#[derive(Debug)]
struct State {
    to: String,
    trouble: Trouble,
    /// Whom it befell.
    befallen: BTreeSet<String>,
    account: Account,
}

/// One before a server. It goes with the test's process.
pub struct Front {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Front {
    /// One that makes no trouble yet for requests to the server at this address.
    pub fn start(to: String) -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        let account = Account::default();
        let state = State { to, trouble: Trouble::None, befallen: BTreeSet::new(), account };
        let state = Arc::new(Mutex::new(state));
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let of_listener = Arc::clone(&state);
        thread::spawn(move || runtime.block_on(listen(listener, of_listener)));
        Ok(Self { address, state })
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What happens to the next request of each agent from now on.
    pub fn trouble(&self, trouble: Trouble) {
        let mut state = lock(&self.state);
        state.trouble = trouble;
        state.befallen.clear();
        state.account.in_vain.clear();
    }

    /// What went through until now.
    pub fn account(&self) -> Account {
        lock(&self.state).account.clone()
    }

    /// Fails unless so many agents tried in vain to reach the server since the trouble changed.
    pub fn found_no_server(&self, agents: usize) -> Result<()> {
        let tried = lock(&self.state).account.in_vain.len();
        ensure!(tried >= agents, "{tried} of {agents} agents tried");
        Ok(())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(listener: std::net::TcpListener, state: Arc<Mutex<State>>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let state = Arc::clone(&state);
        // A client that ends its connection is no news.
        tokio::spawn(async move { serve(client, &state).await });
    }
}

async fn serve(client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut client = BufReader::new(client);
    while let Some(request) = Request::read(&mut client).await? {
        let (trouble, to) = lock(state).befall(&request.agent);
        let answer = match trouble {
            Trouble::Busy => {
                lock(state).account.busy += 1;
                "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
                    .into()
            }
            Trouble::None | Trouble::LostAnswer => match request.pass(&to).await {
                Ok(answer) => {
                    lock(state).note(&request, trouble);
                    answer
                }
                Err(error) => {
                    lock(state).account.in_vain.insert(request.agent);
                    return Err(error);
                }
            },
        };
        if trouble == Trouble::LostAnswer {
            return Ok(());
        }
        client.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

impl State {
    /// What happens to a request of this agent, and where it goes.
    fn befall(&mut self, agent: &str) -> (Trouble, String) {
        let is_first = self.befallen.insert(agent.to_owned());
        (if is_first { self.trouble } else { Trouble::None }, self.to.clone())
    }

    fn note(&mut self, request: &Request, trouble: Trouble) {
        *self.account.taken.entry(request.agent.clone()).or_default() += 1;
        self.account.heads += request.head.len();
        self.account.bodies += request.body.len();
        self.account.lost_answers += usize::from(trouble == Trouble::LostAnswer);
    }
}

struct Request {
    /// Without the agent's name.
    head: String,
    body: Vec<u8>,
    agent: String,
}

impl Request {
    /// The next one; `None` where there is none any more.
    async fn read(from: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let (mut head, mut agent, mut length) = (String::new(), String::new(), 0);
        loop {
            let mut line = String::new();
            if from.read_line(&mut line).await? == 0 {
                return Ok(None);
            }
            match line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim())) {
                Some((name, value)) if name == AGENT => {
                    agent = value.to_owned();
                    continue;
                }
                Some((name, value)) if name == "content-length" => {
                    length = value.parse().map_err(io::Error::other)?;
                }
                _ => (),
            }
            head.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).await?;
        Ok(Some(Self { head, body, agent }))
    }

    /// Hands it to the server on a connection of its own; returns the answer without what is in it.
    async fn pass(&self, to: &str) -> io::Result<String> {
        let mut server = TcpStream::connect(to).await?;
        let head = self.head.strip_suffix("\r\n").unwrap_or(&self.head);
        server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await?;
        server.write_all(&self.body).await?;
        let mut answer = String::new();
        server.read_to_string(&mut answer).await?;
        let status = answer.lines().next().filter(|line| line.starts_with("HTTP/1.1 "));
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = if status.contains(" 204") { "" } else { "Content-Length: 0\r\n" };
        Ok(format!("{status}\r\n{length}\r\n"))
    }
}
