//! The client: commands and questions to a daemon over QUIC.
//!
//! A [`Client`] keeps a few pipes open. Calls are queued; what is queued within one turn of the runtime leaves as one
//! frame, answers come back in any order, and every call ends within its deadline. When the connection is lost it is
//! made again and what was not answered is sent again under the same ids, so a command acts once. Load generators use
//! the [`pipe`]s underneath directly.
//!
//! ```no_run
//! # async fn example(certificate: Vec<u8>) -> Result<(), earmark_protocol::client::ClientError> {
//! use earmark_protocol::client::{Client, ClientConfig, Trust};
//! use earmark_protocol::{hold_one::HoldOne, query::{Query, Resolve}, reply::Reply};
//!
//! let address = "127.0.0.1:4477".parse().expect("an address");
//! let client = Client::connect(ClientConfig::new(address, Trust::Certificate(certificate), "token")).await?;
//! let codes = Resolve { skus: vec!["shirt-m".into()], nodes: vec!["dc-east".into()] };
//! let Reply::Resolved(handles) = client.query(Query::Resolve(codes)).await? else { panic!("refused") };
//! let (Some(sku), Some(node)) = (handles.skus[0], handles.nodes[0]) else { panic!("unknown") };
//! let hold = HoldOne { id: client.new_id(), sku, node, quantity: 1, ..HoldOne::default() };
//! println!("{:?}", client.hold_one(hold).await?);
//! # Ok(())
//! # }
//! ```

mod call;
mod calls;
mod clock;
mod config;
pub mod credentials;
mod dial;
mod driver;
mod error;
mod keeper;
pub mod pipe;
mod tls;
pub mod transport;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub use self::config::{ClientConfig, Trust};
pub use self::credentials::Credentials;
pub use self::dial::{Connection, Dialer};
pub use self::error::{ClientError, Ending};
pub use self::transport::TransportSettings;

use self::call::{Call, PipeCalls};
use self::calls::{Answer, Body, Request};
use self::keeper::{Known, Link};
use crate::codec;
use crate::command::{Command, CommandBody};
use crate::hello::HelloReply;
use crate::hold_one::{HoldOne, HoldOneReply};
use crate::ids::CommandId;
use crate::query::Query;
use crate::reply::Reply;

/// A client. Clones share its pipes; the last one that goes closes them.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    deadline: Duration,
}

#[derive(Debug)]
struct Shared {
    pipes: Vec<Arc<PipeCalls>>,
    next_pipe: AtomicUsize,
    known: Arc<Known>,
    dialer: Dialer,
    link: watch::Receiver<Link>,
    tasks: Vec<AbortHandle>,
}

impl Client {
    /// Connects and says Hello. Must be called on a tokio runtime, which drives the client from then on.
    pub async fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        let dialer = Dialer::new(&config)?;
        let connection = dialer.dial(config.connect_deadline).await?;
        let opening = tokio::time::timeout(config.connect_deadline, connection.open_pipe()).await;
        let no_hello =
            ClientError::Unreachable { address: config.address, cause: "no answer to Hello".into() };
        let pipe = opening.map_err(|_| no_hello)??;

        let known = Arc::new(Known::new(pipe.hello));
        let pipes = config.pipes.max(1);
        let pipes: Vec<_> = (0..pipes).map(|_| Arc::new(PipeCalls::new(config.in_flight_max))).collect();
        let (sender, link) = watch::channel(Ok(connection));
        let keeping = keeper::keep_connection(dialer.clone(), config.clone(), Arc::clone(&known), sender);
        let mut tasks = vec![tokio::spawn(keeping).abort_handle()];
        let mut first = Some(pipe);
        for calls in &pipes {
            let (known, calls) = (Arc::clone(&known), Arc::clone(calls));
            let keeping = keeper::keep_pipe(first.take(), link.clone(), config.clone(), known, calls);
            tasks.push(tokio::spawn(keeping).abort_handle());
        }
        let shared = Shared { pipes, next_pipe: AtomicUsize::new(0), known, dialer, link, tasks };
        Ok(Self { shared: Arc::new(shared), deadline: config.deadline })
    }

    /// The same client, for calls with another deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), deadline }
    }

    /// What the daemon said at the last Hello.
    #[must_use]
    pub fn hello(&self) -> HelloReply {
        self.shared.known.hello()
    }

    /// Takes note of the daemon's present epoch. After [`ClientError::EpochChanged`] every call fails with it until
    /// this is called: handles of before name other things now, or nothing.
    pub fn accept_epoch(&self) -> HelloReply {
        self.shared.known.accept_epoch()
    }

    /// An id for a command, on the daemon's time.
    #[must_use]
    pub fn new_id(&self) -> CommandId {
        self.shared.known.clock.new_id()
    }

    /// Does what the body says, under a new id.
    pub async fn command(&self, body: CommandBody) -> Result<Reply, ClientError> {
        self.command_as(self.new_id(), body).await
    }

    /// Does what the body says, under this id; once, however often it is sent.
    pub async fn command_as(&self, id: CommandId, body: CommandBody) -> Result<Reply, ClientError> {
        let give_up_ms = u32::try_from(self.deadline.as_millis()).unwrap_or(u32::MAX).max(1);
        let mut bytes = Vec::new();
        codec::encode(&Command { id, give_up_ms, body }, &mut bytes);
        self.reply(Body::Command(bytes), Some(id)).await
    }

    /// Asks.
    pub async fn query(&self, query: Query) -> Result<Reply, ClientError> {
        let mut bytes = Vec::new();
        codec::encode(&query, &mut bytes);
        self.reply(Body::Query(bytes), None).await
    }

    /// Holds one quantity of one cell.
    pub async fn hold_one(&self, hold: HoldOne) -> Result<HoldOneReply, ClientError> {
        let body = Body::HoldOne(hold.to_bytes());
        hold_one_reply(self.submit(body, Some(hold.id))?).await
    }

    /// Holds many, each for itself. They leave in one frame where it can take them all, and cost one wake-up per
    /// frame of answers.
    pub async fn hold_many(&self, holds: &[HoldOne]) -> Vec<Result<HoldOneReply, ClientError>> {
        let made = clock::now();
        let request = |hold: &HoldOne| self.request(Body::HoldOne(hold.to_bytes()), Some(hold.id), made);
        let calls = self.pipe().submit_all(holds.iter().map(request));
        let mut replies = Vec::with_capacity(calls.len());
        for call in calls {
            replies.push(match call {
                Ok(call) => hold_one_reply(call).await,
                Err(error) => Err(error),
            });
        }
        replies
    }

    /// Closes all pipes. Calls that wait fail, and later ones too.
    pub async fn close(&self) {
        self.shared.stop();
        for pipe in &self.shared.pipes {
            pipe.wake_after(calls::Calls::close);
        }
        self.shared.dialer.goodbye().await;
    }

    async fn reply(&self, body: Body, id: Option<CommandId>) -> Result<Reply, ClientError> {
        match self.submit(body, id)?.await? {
            Answer::Reply(reply) => Ok(reply),
            Answer::HoldOne(_) => unreachable!("a pipe takes only answers of the kind that was asked for"),
        }
    }

    /// The next pipe in turn.
    fn pipe(&self) -> &Arc<PipeCalls> {
        let turn = self.shared.next_pipe.fetch_add(1, Ordering::Relaxed);
        &self.shared.pipes[turn % self.shared.pipes.len()]
    }

    fn submit(&self, body: Body, id: Option<CommandId>) -> Result<Call, ClientError> {
        self.pipe().submit(self.request(body, id, clock::now()))
    }

    fn request(&self, body: Body, id: Option<CommandId>, made: Instant) -> Request {
        Request { body, id, made, deadline: made + self.deadline, epoch: self.shared.known.epoch() }
    }
}

async fn hold_one_reply(call: Call) -> Result<HoldOneReply, ClientError> {
    match call.await? {
        Answer::HoldOne(reply) => Ok(reply),
        Answer::Reply(_) => unreachable!("a pipe takes only answers of the kind that was asked for"),
    }
}

impl Shared {
    fn stop(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        if let Ok(connection) = &*self.link.borrow() {
            connection.close();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}
