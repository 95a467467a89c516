//! Who the daemon is and who may come in: its certificate and key, the tokens it knows, and what each role may do.
//! Secrets are read and made here, and never printed.

mod access;
mod certificate;
mod tokens;

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Context as _;

pub use access::{Work, command_work, query_work};
pub use certificate::Certificate;
pub use tokens::{Grant, Tokens};

use crate::config::Config;

/// Its private key in the data directory.
pub const KEY_FILE: &str = "key.pem";
/// The hashed tokens in the data directory.
pub const TOKENS_FILE: &str = "tokens.toml";

/// All that the server needs to know who is who.
#[derive(Debug)]
pub struct Security {
    /// What the daemon shows.
    pub certificate: Certificate,
    /// Whom it knows.
    pub tokens: Tokens,
    /// The token made at first start, where there is one: for programs on this machine.
    pub admin_token: Option<AdminToken>,
}

/// A token in plain text. It cannot be printed by accident.
#[derive(Clone)]
pub struct AdminToken(pub String);

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

impl Security {
    /// What the configuration names, else what is in the data directory, else made now (and kept there, where
    /// there is one).
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let directory = config.durability.directory.as_deref();
        if let Some(directory) = directory {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(|| {
                format!("making the data directory {}; name one that can be written", directory.display())
            })?;
        }
        let certificate = match (&config.security.certificate_file, &config.security.key_file) {
            (Some(certificate), Some(key)) => Certificate::read(certificate, key)?,
            _ => Certificate::own(directory)?,
        };
        let (tokens, admin_token) = match &config.security.tokens_file {
            Some(file) => (Tokens::read(file)?, None),
            None => tokens::own(directory)?,
        };
        Ok(Self { certificate, tokens, admin_token })
    }
}

/// `N` bytes nobody can guess.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(bytes)
}

/// Writes a new file that only its owner can read. A file that is there already stays as it is, and is an error.
fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    open.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("writing {}; the data directory must be writable", path.display()))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use earmark_protocol::client::credentials::{ADMIN_TOKEN_FILE, CERTIFICATE_FILE};

    use super::*;
    use earmark_protocol::hello::Role;

    fn config(directory: &Path) -> Config {
        let mut config = Config::default();
        config.durability.directory = Some(directory.to_owned());
        config
    }

    #[test]
    fn the_first_start_makes_secrets_for_the_owner_alone_and_the_next_finds_them() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("data");
        let first = Security::open(&config(&inside)).unwrap();
        for name in [CERTIFICATE_FILE, KEY_FILE, TOKENS_FILE, ADMIN_TOKEN_FILE] {
            let mode = std::fs::metadata(inside.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let token = first.admin_token.unwrap().0;
        assert_eq!(first.tokens.grant(&token).map(|grant| grant.role), Some(Role::Admin));
        let second = Security::open(&config(&inside)).unwrap();
        assert_eq!(second.admin_token.unwrap().0, token);
        assert_eq!(second.certificate.der(), first.certificate.der());
        assert!(second.tokens.grant(&token).is_some());
    }

    #[test]
    fn the_token_is_kept_hashed_and_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        let security = Security::open(&config(directory.path())).unwrap();
        let printed = format!("{security:?}");
        let token = security.admin_token.unwrap().0;
        assert!(token.len() >= 64, "256 bits");
        assert!(!std::fs::read_to_string(directory.path().join(TOKENS_FILE)).unwrap().contains(&token));
        assert!(!printed.contains(&token));
        assert!(!printed.contains("PRIVATE"), "{printed}");
    }

    #[test]
    fn without_a_directory_secrets_live_in_memory_and_differ_each_time() {
        let one = Security::open(&Config::default()).unwrap();
        let other = Security::open(&Config::default()).unwrap();
        assert_ne!(one.admin_token.unwrap().0, other.admin_token.unwrap().0);
    }

    #[test]
    fn tokens_of_the_operator_replace_the_one_made_at_first_start() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mine.toml");
        let hash = Tokens::hash_text("shop-secret");
        let text =
            format!("[[token]]\nname = \"shop\"\nsha256 = \"{hash}\"\nrole = \"checkout\"\ntenant = 3\n");
        std::fs::write(&file, text).unwrap();
        let mut config = config(directory.path());
        config.security.tokens_file = Some(file);
        let security = Security::open(&config).unwrap();
        assert!(security.admin_token.is_none());
        let grant = security.tokens.grant("shop-secret").unwrap();
        assert_eq!((grant.role, grant.tenant.0, &*grant.name), (Role::Checkout, 3, "shop"));
        assert!(security.tokens.grant("shop-secreT").is_none());
    }
}
