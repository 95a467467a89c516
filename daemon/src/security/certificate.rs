//! The daemon's certificate and key: read from PEM, or made for this machine.

use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use earmark_protocol::client::credentials::CERTIFICATE_FILE;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{KEY_FILE, write_secret};

/// Names the certificate made at first start is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate chain, leaf first, with its private key.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// The chain and key of these PEM files.
    pub fn read(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let chain: Vec<_> =
            CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect).with_context(|| {
                format!("reading certificates from {}; it must be PEM", certificate.display())
            })?;
        anyhow::ensure!(!chain.is_empty(), "{} holds no certificate in PEM", certificate.display());
        let key = PrivateKeyDer::from_pem_file(key)
            .with_context(|| format!("reading a private key from {}; it must be PEM", key.display()))?;
        Ok(Self { chain, key })
    }

    /// The one in the data directory; made there, or in memory alone, where there is none.
    pub(super) fn own(directory: Option<&Path>) -> anyhow::Result<Self> {
        let Some(directory) = directory else { return make().map(|(own, ..)| own) };
        let (certificate, key) = (directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE));
        if certificate.exists() || key.exists() {
            return Self::read(&certificate, &key).with_context(|| {
                format!(
                    "taking the daemon's own certificate: {} and {} belong together; put back what is missing, or remove \
                     both: then new ones are made, and clients elsewhere need the new certificate",
                    certificate.display(),
                    key.display()
                )
            });
        }
        let (own, certificate_pem, key_pem) = make()?;
        // The key first: a certificate is what says that both are there.
        write_secret(&key, &key_pem)?;
        write_secret(&certificate, &certificate_pem)?;
        Ok(own)
    }

    /// The leaf, as clients pin it.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.chain.first().map_or(&[], |leaf| leaf.as_ref())
    }

    /// What TLS shows for it: version 1.3 alone, with this ALPN.
    pub fn tls(&self, alpn: &[u8]) -> anyhow::Result<rustls::ServerConfig> {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .context("setting up TLS 1.3")?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .context("taking the certificate and its key; they must belong together")?;
        tls.alpn_protocols = vec![alpn.to_vec()];
        Ok(tls)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate {{ chain: {} certificate(s), key: … }}", self.chain.len())
    }
}

fn make() -> anyhow::Result<(Certificate, String, String)> {
    let made =
        rcgen::generate_simple_self_signed(NAMES.map(str::to_owned)).context("making a certificate")?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|reason| anyhow::anyhow!("making a private key: {reason}"))?;
    let certificate = Certificate { chain: vec![made.cert.der().clone()], key };
    Ok((certificate, made.cert.pem(), made.signing_key.serialize_pem()))
}
