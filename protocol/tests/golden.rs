//! docs/protocol.md is the source of the golden vectors: its examples are the bytes this build writes and reads, its
//! tables name every field and variant there is, in their order. Where the encoding has changed on purpose,
//! `EARMARK_WRITE_PAGE=1 cargo test -p earmark-protocol --test golden` writes the hex blocks anew.

mod vectors;

use std::collections::BTreeSet;

use earmark_protocol::frame::Kind;
use earmark_protocol::refusal::{Field, RefusalCode};
use earmark_protocol::wire_error::{WireError, WireFault};
use earmark_protocol::{catalogue, codec, command, hello, query, reply};
use serde::de::DeserializeOwned;
use vectors::page::{self, HOLD_ONE, HOLD_ONE_REPLY};
use vectors::trace::Schema;

/// What all examples of the page teach, and the kinds of messages among them.
fn learn(page: &str) -> (Schema, BTreeSet<u8>) {
    let mut schema = Schema::default();
    let mut kinds = BTreeSet::new();
    for block in page::blocks(page).iter().filter(|block| block.language == "json") {
        let example = page::example(&block.of, &block.text, &mut schema);
        kinds.extend(example.kinds.iter().map(|kind| *kind as u8));
    }
    (schema, kinds)
}

#[test]
fn every_example_encodes_to_the_bytes_of_the_page_and_reads_back() {
    let page = page::read();
    let blocks = page::blocks(&page);
    let mut schema = Schema::default();
    let mut names = BTreeSet::new();
    let is_written_anew = std::env::var_os("EARMARK_WRITE_PAGE").is_some();
    let mut anew = Vec::new();
    for json in blocks.iter().filter(|block| block.language == "json") {
        assert!(names.insert(&json.name), "two examples are called {}", json.name);
        let hex = blocks.iter().find(|block| block.language == "hex" && block.name == json.name);
        let hex = hex.unwrap_or_else(|| panic!("the example {} has no bytes", json.name));
        let example = page::example(&json.of, &json.text, &mut schema);
        if is_written_anew {
            anew.push((hex.lines.clone(), page::hex_of(&example.lines)));
            continue;
        }
        assert_eq!(example.bytes, page::bytes_of(&hex.text), "bytes of {}", json.name);
        assert_eq!(page::hex_of(&example.lines), hex.text, "notes of {}", json.name);
        let value: serde_json::Value = serde_json::from_str(&json.text).expect("JSON");
        assert_eq!(example.read_back, value, "value of {}", json.name);
    }
    assert_eq!(names.len(), blocks.len() / 2, "every hex block belongs to an example");
    if is_written_anew {
        page::write_anew(&page, &anew);
    }
}

#[test]
fn every_kind_of_message_has_an_example_and_a_row() {
    let page = page::read();
    let (_, kinds) = learn(&page);
    assert_eq!(kinds, Kind::ALL.iter().map(|kind| *kind as u8).collect());
    let rows = page::table(&page, "Kind").expect("a table of kinds");
    let documented: Vec<_> = rows.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let known = Kind::ALL.iter().map(|kind| (format!("{:#04x}", *kind as u8), format!("{kind:?}")));
    assert_eq!(documented, known.collect::<Vec<_>>());
}

#[test]
fn every_variant_of_every_enum_has_an_example_and_a_row() {
    let page = page::read();
    let (schema, _) = learn(&page);
    let counts = [
        ("CommandBody", variants::<command::CommandBody>()),
        ("Delivery", variants::<command::Delivery>()),
        ("Correction", variants::<command::Correction>()),
        ("Disposition", variants::<command::Disposition>()),
        ("NodeKind", variants::<catalogue::NodeKind>()),
        ("NodeState", variants::<catalogue::NodeState>()),
        ("Query", variants::<query::Query>()),
        ("Scope", variants::<query::Scope>()),
        ("Reply", variants::<reply::Reply>()),
        ("Status", variants::<reply::Status>()),
        ("Role", variants::<hello::Role>()),
        ("LimitName", variants::<hello::LimitName>()),
        ("PipeError", variants::<hello::PipeError>()),
        ("WireFault", variants::<WireFault>()),
    ];
    let known: BTreeSet<_> = schema.enums.keys().map(String::as_str).collect();
    assert_eq!(known, counts.iter().map(|(name, _)| *name).collect());
    for (name, count) in counts {
        let examples = &schema.enums[name];
        let missing: Vec<_> = (0..count).filter(|number| !examples.contains_key(number)).collect();
        assert!(missing.is_empty(), "{name} has no examples of {missing:?}");
        let rows = page::table(&page, name).unwrap_or_else(|| panic!("no table of {name}"));
        let documented: Vec<_> =
            rows.iter().map(|row| (row[0].clone(), row[1].clone(), row[2].clone())).collect();
        let known = examples
            .iter()
            .map(|(number, (variant, content))| (number.to_string(), variant.clone(), content.clone()));
        assert_eq!(documented, known.collect::<Vec<_>>(), "table of {name}");
    }
}

#[test]
fn every_field_of_every_struct_has_a_row() {
    let page = page::read();
    let (schema, _) = learn(&page);
    for (name, fields) in &schema.structs {
        let rows = page::table(&page, name).unwrap_or_else(|| panic!("no table of {name}"));
        let documented: Vec<_> = rows.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
        assert_eq!(&documented, fields, "table of {name}");
    }
    for (name, layout) in [("HoldOne", HOLD_ONE), ("HoldOneReply", HOLD_ONE_REPLY)] {
        let rows = page::table(&page, name).unwrap_or_else(|| panic!("no table of {name}"));
        let mut at = 0;
        for (row, (field, length)) in rows.iter().zip(layout) {
            assert_eq!((row[0].as_str(), row[1].as_str()), (at.to_string().as_str(), *field), "{name}");
            at += length;
        }
        assert_eq!(rows.len(), layout.len(), "{name}");
    }
}

#[test]
fn every_refusal_and_every_field_it_can_name_has_a_row() {
    let page = page::read();
    let refusals = page::table(&page, "RefusalCode").expect("a table of refusals");
    let known = RefusalCode::ALL
        .iter()
        .map(|code| [code.number().to_string(), code.name().into(), code.meaning().into()]);
    assert_eq!(refusals, known.map(Vec::from).collect::<Vec<_>>());
    let fields = page::table(&page, "Field").expect("a table of fields");
    let known = Field::ALL
        .iter()
        .map(|field| [field.number().to_string(), field.name().into(), field.meaning().into()]);
    assert_eq!(fields, known.map(Vec::from).collect::<Vec<_>>());
}

#[test]
fn every_link_of_the_page_leads_to_a_heading() {
    assert_eq!(page::dead_links(&page::read()), Vec::<String>::new());
}

/// How many variants an enum has: the first number that means nothing.
fn variants<T: DeserializeOwned>() -> u32 {
    (0..).find(|number| is_no_variant::<T>(*number)).expect("enums are finite")
}

fn is_no_variant<T: DeserializeOwned>(number: u32) -> bool {
    let read = codec::decode::<T>(&number.to_le_bytes());
    read.err() == Some(WireError::bad_value(0, u64::from(number)))
}
