//! Tokens: who a client is. They are kept hashed; what a token is worth is its role and its tenant.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use earmark_protocol::client::credentials::ADMIN_TOKEN_FILE;
use earmark_protocol::hello::Role;
use earmark_protocol::ids::Tenant;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{AdminToken, TOKENS_FILE, random, read_text, write_secret};

/// What a token is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The token's name, for logs.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// Whose stock and orders it sees.
    pub tenant: Tenant,
}

/// The tokens that are known, by their hashes.
#[derive(Debug, Default)]
pub struct Tokens {
    by_hash: HashMap<[u8; 32], Grant>,
}

/// The file of tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    sha256: String,
    role: Role,
    #[serde(default)]
    tenant: u16,
}

impl Tokens {
    /// The tokens of a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Self::parse(&read_text(path)?).with_context(|| format!("reading tokens from {}", path.display()))
    }

    /// The tokens of a file's text.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text)?;
        anyhow::ensure!(!file.token.is_empty(), "there is no [[token]]; without one nobody can come in");
        let mut tokens = Self::default();
        for Row { name, sha256, role, tenant } in file.token {
            let hash = from_hex(&sha256).with_context(|| {
                format!("token {name:?}: sha256 must be 64 hexadecimal digits, as sha256sum prints them")
            })?;
            let grant = Grant { name: name.as_str().into(), role, tenant: Tenant(tenant) };
            if let Some(other) = tokens.by_hash.insert(hash, grant) {
                anyhow::bail!("token {name:?} has the same sha256 as {:?}; give each its own", other.name);
            }
        }
        Ok(tokens)
    }

    /// What this token is worth; `None` where it is not known.
    #[must_use]
    pub fn grant(&self, token: &str) -> Option<&Grant> {
        // Found by hash, so how long the search takes says nothing of the token.
        self.by_hash.get(&hash(token))
    }

    /// The hash of a token as it stands in the file.
    #[must_use]
    pub fn hash_text(token: &str) -> String {
        to_hex(&hash(token))
    }
}

/// The tokens in the data directory; one admin token is made there, or in memory alone, where there are none.
pub(super) fn own(directory: Option<&Path>) -> anyhow::Result<(Tokens, Option<AdminToken>)> {
    if let Some(directory) = directory
        && directory.join(TOKENS_FILE).exists()
    {
        let plain = directory.join(ADMIN_TOKEN_FILE);
        if !plain.exists() {
            tracing::info!(
                "{} is not there, so each client has to be given a token of its own; to have a new one made, remove \
                 {TOKENS_FILE} and restart: tokens that are in it are unknown then",
                plain.display()
            );
        }
        let admin = plain.exists().then(|| read_text(&plain)).transpose()?;
        let admin = admin.map(|text| AdminToken(text.trim().to_owned()));
        return Ok((Tokens::read(&directory.join(TOKENS_FILE))?, admin));
    }
    // A first start that was cut off may have left the token without its hash: it stays the token.
    let plain = directory.map(|directory| directory.join(ADMIN_TOKEN_FILE)).filter(|plain| plain.exists());
    let admin = match &plain {
        Some(plain) => AdminToken(read_text(plain)?.trim().to_owned()),
        None => AdminToken(to_hex(&random::<32>()?)),
    };
    let text = format!(
        "# Tokens that Earmark knows, hashed. Add one: the sha256 of a token of yours, and restart.\n\
         # role: read, checkout, oms or admin. tenant: whose stock and orders it sees.\n\n\
         [[token]]\nname = \"admin\"\nsha256 = \"{}\"\nrole = \"admin\"\ntenant = 0\n",
        Tokens::hash_text(&admin.0)
    );
    if let Some(directory) = directory {
        if plain.is_none() {
            write_secret(&directory.join(ADMIN_TOKEN_FILE), &format!("{}\n", admin.0))?;
        }
        write_secret(&directory.join(TOKENS_FILE), &text)?;
    }
    Ok((Tokens::parse(&text)?, Some(admin)))
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", Tokens::parse(text).unwrap_err())
    }

    #[test]
    fn a_hash_is_the_one_sha256sum_prints() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Tokens::hash_text("abc"), known);
    }

    #[test]
    fn a_file_with_mistakes_is_refused_with_what_is_wrong() {
        assert!(refused("").contains("no [[token]]"));
        assert!(
            refused("[[token]]\nname = \"a\"\nsha256 = \"12\"\nrole = \"read\"").contains("64 hexadecimal")
        );
        let row = format!("[[token]]\nname = \"a\"\nsha256 = \"{}\"\nrole = \"read\"\n", "0".repeat(64));
        assert!(refused(&format!("{row}{row}")).contains("same sha256"));
        assert!(refused(&row.replace("read", "root")).contains("unknown variant"));
        assert!(refused(&row.replace("name", "nmae")).contains("unknown field"));
        assert!(Tokens::parse(&row).is_ok());
    }
}
