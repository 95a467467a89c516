//! The daemon as a process of its own.

#![allow(dead_code, reason = "each test that has this room uses a part of it")]

use std::io::Read as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use earmark_protocol::client::{Client, ClientConfig, Trust};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

pub(crate) struct Process {
    child: Child,
    /// Reads what it says.
    listener: Option<JoinHandle<String>>,
    address: SocketAddr,
    directory: PathBuf,
}

impl Process {
    /// Starts it on this directory, at a port of its own. It may still be recovering when this returns.
    pub(crate) fn start(directory: &Path) -> Self {
        Self::start_with(directory, |_| {})
    }

    /// The same, with a change to how it is started.
    pub(crate) fn start_with(directory: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = free.expect("there is a free port");
        let mut command = Command::new(env!("CARGO_BIN_EXE_earmark"));
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(directory)
            .args(["--server.listen", &address.to_string(), "--log.level", "warn"])
            .args(["--durability.segment_bytes", "16777216"])
            .stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().expect("the binary can be run");
        let mut stderr = child.stderr.take().expect("it is piped");
        let listener = std::thread::spawn(move || {
            let mut said = String::new();
            // What is not text is not said.
            let _ = stderr.read_to_string(&mut said);
            eprint!("{said}");
            said
        });
        Self { child, listener: Some(listener), address, directory: directory.to_owned() }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A client, once it serves.
    pub(crate) async fn connect(&self) -> Client {
        for _ in 0..200 {
            if let Some(config) = self.config()
                && let Ok(client) = Client::connect(config).await
            {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the daemon at {} does not answer", self.address);
    }

    /// `None` before it has written what is needed to connect.
    fn config(&self) -> Option<ClientConfig> {
        let pem = std::fs::read(self.directory.join("certificate.pem")).ok()?;
        let token = std::fs::read_to_string(self.directory.join("admin.token")).ok()?;
        let certificate = CertificateDer::from_pem_slice(&pem).ok()?.to_vec();
        let deadline = Duration::from_secs(2);
        let trust = Trust::Certificate(certificate);
        Some(ClientConfig {
            deadline,
            connect_deadline: Duration::from_millis(250),
            ..ClientConfig::new(self.address, trust, token.trim())
        })
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and the end that follows. What it said.
    pub(crate) fn stop(self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().is_ok_and(|status| status.success()));
        let (status, said) = self.end();
        assert!(status.success(), "it ends in order, not with {status}: {said}");
        said
    }

    /// Its end by itself, which is none in order. What it said.
    pub(crate) fn ended(self) -> String {
        let (status, said) = self.end();
        assert_eq!(status.code(), Some(3), "{said}");
        said
    }

    fn end(mut self) -> (ExitStatus, String) {
        for _ in 0..3_000 {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                let said = self.listener.take().map(|listener| listener.join().expect("it listens"));
                return (status, said.unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the daemon goes on");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
