//! The daemon as a process of its own.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use earmark_protocol::client::{Client, ClientConfig, Trust};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Process {
    /// Starts it on this directory, at a port of its own. It may still be recovering when this returns.
    pub(crate) fn start(directory: &Path) -> Self {
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = free.expect("there is a free port");
        let child = Command::new(env!("CARGO_BIN_EXE_earmark"))
            .arg("serve")
            .arg("--data-dir")
            .arg(directory)
            .args(["--server.listen", &address.to_string(), "--log.level", "warn"])
            .args(["--durability.segment_bytes", "16777216"])
            .spawn()
            .expect("the binary can be run");
        Self { child, address, directory: directory.to_owned() }
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

    /// SIGTERM, and the end that follows.
    pub(crate) fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().is_ok_and(|status| status.success()));
        assert!(self.child.wait().is_ok_and(|status| status.success()), "it ends in order");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
