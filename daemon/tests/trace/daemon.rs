//! The daemon under strace, and a client on its unix socket.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use earmark_protocol::catalogue::{NodeSpec, SkuSpec, capabilities};
use earmark_protocol::client::pipe::Pipe;
use earmark_protocol::command::{Command as Change, CommandBody, SetStock, StockCount};
use earmark_protocol::frame::{FRAME_BYTES_MAX, FrameWriter, Kind};
use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::{CommandId, NodeIx, Segment, SkuIx, TimestampMs};
use earmark_protocol::reply::Reply;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// A daemon that is slowed down by being watched has answered within this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is traced: all that writes or syncs.
const CALLS: &str = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg,fsync,fdatasync";
/// Longer than any write.
const STRING_BYTES: &str = "4194304";

pub(crate) fn strace_is_there() -> bool {
    let mut strace = Command::new("strace");
    strace.arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A daemon that is traced.
pub(crate) struct Traced {
    strace: Child,
    directory: tempfile::TempDir,
}

impl Traced {
    pub(crate) fn start(mode: &str) -> Self {
        let directory = tempfile::tempdir().expect("a place for the data");
        let at = |name: &str| directory.path().join(name);
        let strace = Command::new("strace")
            .args(["-f", "-yy", "-xx", "-s", STRING_BYTES, "-e", CALLS, "-o"])
            .arg(at("trace"))
            .arg(env!("CARGO_BIN_EXE_earmark"))
            .args(["serve", "--server.listen", "127.0.0.1:0", "--log.level", "warn"])
            .args(["--durability.segment_bytes", "16777216", "--durability.mode", mode])
            .arg("--data-dir")
            .arg(at("data"))
            .arg("--server.unix_socket")
            .arg(at("socket"))
            .spawn()
            .expect("strace can be run");
        Self { strace, directory }
    }

    /// Makes holds; how many answers it has read.
    pub(crate) fn holds(&self, single: usize, frames: usize, per_frame: usize) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let work = async {
            let mut peer = Peer::connect(self.directory.path()).await;
            peer.stock().await;
            for _ in 0..single {
                peer.send_holds(1).await;
                peer.answers(1).await;
            }
            for _ in 0..frames {
                peer.send_holds(per_frame).await;
            }
            peer.answers(frames * per_frame).await;
        };
        runtime
            .expect("a runtime")
            .block_on(async { tokio::time::timeout(PATIENCE, work).await })
            .expect("answers");
        single + frames * per_frame
    }

    /// Stops the daemon, and gives what was traced.
    pub(crate) fn stop(mut self) -> String {
        assert!(self.signal("-TERM"), "the daemon runs");
        assert!(self.strace.wait().is_ok_and(|status| status.success()), "the daemon ends in order");
        std::fs::read_to_string(self.directory.path().join("trace")).expect("strace has written")
    }

    /// strace passes no signal on, so the daemon is found by what stands in its lock.
    fn signal(&self, signal: &str) -> bool {
        let lock = std::fs::read_to_string(self.directory.path().join("data/lock")).unwrap_or_default();
        let told = Command::new("kill").args([signal, lock.trim()]).stderr(Stdio::null()).status();
        told.is_ok_and(|status| status.success())
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if matches!(self.strace.try_wait(), Ok(None)) {
            self.signal("-KILL");
            // Without the daemon it ends by itself; where there was none yet, it is ended.
            let _ = self.strace.kill();
            let _ = self.strace.wait();
        }
    }
}

/// A client on the unix socket.
struct Peer {
    pipe: Pipe<OwnedReadHalf, OwnedWriteHalf>,
    time: TimestampMs,
    ids: u64,
}

impl Peer {
    async fn connect(directory: &Path) -> Self {
        loop {
            if let Ok(token) = std::fs::read_to_string(directory.join("data/admin.token"))
                && let Ok(stream) = UnixStream::connect(directory.join("socket")).await
            {
                let (read, write) = stream.into_split();
                let pipe = Pipe::open(read, write, token.trim()).await.expect("the daemon greets");
                return Self { time: pipe.hello.time, pipe, ids: 0 };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn id(&mut self) -> CommandId {
        self.ids += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.ids.to_be_bytes());
        CommandId::new(self.time, random)
    }

    async fn stock(&mut self) {
        let (sku, node, segment) = (SkuIx(0), NodeIx(0), Segment(0));
        let counts = vec![StockCount { sku, node, segment, on_hand: 1 << 20, safety: None }];
        let spec = NodeSpec {
            code: "n".to_owned(),
            time_zone: "UTC".to_owned(),
            capabilities: capabilities::ALL,
            ..NodeSpec::default()
        };
        for body in [
            CommandBody::PutNodes(vec![spec]),
            CommandBody::PutSkus(vec![SkuSpec { code: "s".to_owned(), ..SkuSpec::default() }]),
            CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }),
        ] {
            let command = Change { id: self.id(), give_up_ms: 0, body };
            let mut frames = FrameWriter::new(FRAME_BYTES_MAX);
            frames.push(Kind::Command, 1, &command).expect("it fits");
            self.pipe.sender.send(&mut frames).await.expect("the daemon reads");
            let frame = self.pipe.receiver.receive().await.expect("the daemon answers");
            let message = frame.messages().next().expect("a reply").expect("whole");
            assert!(matches!(message.decode::<Reply>(), Ok(Reply::Done(_))));
        }
    }

    async fn send_holds(&mut self, count: usize) {
        let mut frames = FrameWriter::new(FRAME_BYTES_MAX);
        for _ in 0..count {
            let hold = HoldOne { id: self.id(), quantity: 1, ..HoldOne::default() };
            frames.push_body(Kind::HoldOne, 1, &hold.to_bytes()).expect("it fits");
        }
        self.pipe.sender.send(&mut frames).await.expect("the daemon reads");
    }

    async fn answers(&mut self, count: usize) {
        let mut read = 0;
        while read < count {
            let frame = self.pipe.receiver.receive().await.expect("the daemon answers");
            read += usize::from(frame.count());
        }
        assert_eq!(read, count);
    }
}
