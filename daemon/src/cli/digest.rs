//! A digest in words and as JSON: sums as numbers, hashes in hex.

use earmark_protocol::reply::DigestReply;
use serde_json::{Map, Value, json};

/// A hash in hex: as a number it would lose bits in JSON.
#[must_use]
pub(super) fn hash(hash: u64) -> Value {
    json!(format!("{hash:016x}"))
}

/// A digest as JSON, and each of its parts as a name and a text.
#[must_use]
pub(super) fn told(digest: &DigestReply) -> (Value, Vec<(String, String)>) {
    let DigestReply { lsn, cells, on_hand, held, allocated, unsellable, cells_short, quantities, state } =
        digest;
    let parts = [
        ("lsn", json!(lsn)),
        ("cells", json!(cells)),
        ("on_hand", json!(on_hand)),
        ("held", json!(held)),
        ("allocated", json!(allocated)),
        ("unsellable", json!(unsellable)),
        ("cells_short", json!(cells_short)),
        ("quantities", hash(*quantities)),
        ("state", hash(*state)),
    ];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let texts = parts.iter().map(|(name, value)| (format!("digest.{name}"), text(value))).collect();
    let json: Map<_, _> = parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    (Value::Object(json), texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_keep_all_their_bits_in_json_and_sums_are_numbers() {
        let reply =
            DigestReply { cells: 3, on_hand: -2, quantities: u64::MAX, state: 7, ..DigestReply::default() };
        let (json, texts) = told(&reply);
        assert_eq!(
            (&json["quantities"], &json["state"]),
            (&json!("ffffffffffffffff"), &json!("0000000000000007"))
        );
        assert_eq!((&json["cells"], &json["on_hand"]), (&json!(3), &json!(-2)));
        assert_eq!(texts.last(), Some(&("digest.state".to_owned(), "0000000000000007".to_owned())));
    }
}
