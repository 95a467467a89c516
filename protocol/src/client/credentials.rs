//! What a client trusts and who it is, from the files that a daemon's first start leaves, or from others.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::Trust;

/// The daemon's own certificate in its data directory, in PEM.
pub const CERTIFICATE_FILE: &str = "certificate.pem";
/// The admin token in the data directory.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";
/// The variable that holds a token.
pub const TOKEN_VARIABLE: &str = "EARMARK_TOKEN";

/// Why there is no trust, no token or no address: the text says what was attempted, what stood in the way, what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{attempted}: {hindrance}; {remedy}")]
pub struct CredentialsError {
    attempted: String,
    hindrance: String,
    remedy: &'static str,
}

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The daemon's data directory: what is not named below is taken from there.
    pub data_dir: PathBuf,
    /// A file that holds the token. Where it is not named, the variable [`TOKEN_VARIABLE`] goes before the data
    /// directory.
    pub token_file: Option<PathBuf>,
    /// The daemon's own certificate in PEM.
    pub certificate: Option<PathBuf>,
    /// Roots in PEM that vouch for the daemon's certificate, instead of that one certificate.
    pub roots: Option<PathBuf>,
}

impl Credentials {
    /// What vouches for the daemon.
    ///
    /// # Errors
    /// Where the file cannot be read, or is not PEM.
    pub fn trust(&self) -> Result<Trust, CredentialsError> {
        if let Some(roots) = &self.roots {
            return Ok(Trust::Roots(read("the roots", roots)?));
        }
        let file = self.certificate.clone().unwrap_or_else(|| self.data_dir.join(CERTIFICATE_FILE));
        let what = "the daemon's certificate";
        let certificate = CertificateDer::from_pem_slice(&read(what, &file)?)
            .map_err(|error| trouble(what, &file, error, "it must be PEM"))?;
        Ok(Trust::Certificate(certificate.to_vec()))
    }

    /// Who asks.
    ///
    /// # Errors
    /// Where the file cannot be read, or is not text.
    pub fn token(&self) -> Result<String, CredentialsError> {
        if let (None, Ok(token)) = (&self.token_file, std::env::var(TOKEN_VARIABLE)) {
            return Ok(token);
        }
        let file = self.token_file.clone().unwrap_or_else(|| self.data_dir.join(ADMIN_TOKEN_FILE));
        let token = String::from_utf8(read("the token", &file)?)
            .map_err(|_| trouble("the token", &file, "it is not UTF-8", "name another file"))?;
        Ok(token.trim().to_owned())
    }
}

/// The first address of `HOST:PORT`.
///
/// # Errors
/// Where the text is none, or the name has no address.
pub fn address(text: &str) -> Result<SocketAddr, CredentialsError> {
    let failed = |hindrance: String| CredentialsError {
        attempted: format!("finding the daemon at {text}"),
        hindrance,
        remedy: "give its address as HOST:PORT",
    };
    let mut addresses = text.to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    addresses.next().ok_or_else(|| failed("the name has no address".to_owned()))
}

fn read(what: &str, file: &Path) -> Result<Vec<u8>, CredentialsError> {
    let remedy = "start `earmark serve` first, or name its data directory with --data-dir";
    std::fs::read(file).map_err(|error| trouble(what, file, error, remedy))
}

fn trouble(
    what: &str,
    file: &Path,
    hindrance: impl std::fmt::Display,
    remedy: &'static str,
) -> CredentialsError {
    let attempted = format!("reading {what} {}", file.display());
    CredentialsError { attempted, hindrance: hindrance.to_string(), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_a_remedy() {
        let credentials = Credentials { data_dir: "nowhere".into(), ..Credentials::default() };
        let error = credentials.trust().map(|_| ()).expect_err("there is no such directory").to_string();
        assert!(error.starts_with("reading the daemon's certificate nowhere/certificate.pem: "), "{error}");
        assert!(error.ends_with("name its data directory with --data-dir"), "{error}");
        let error = address("no port").expect_err("no address").to_string();
        assert!(error.starts_with("finding the daemon at no port: "), "{error}");
    }
}
