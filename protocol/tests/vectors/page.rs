//! Reads docs/protocol.md: its examples (a value as JSON, and its bytes) and its tables.

use std::fmt::Write;
use std::path::PathBuf;

use earmark_protocol::catalogue::{NodeKind, NodeState};
use earmark_protocol::codec;
use earmark_protocol::command::{Command, Correction, Disposition};
use earmark_protocol::frame::{Frame, FrameWriter, Kind};
use earmark_protocol::hello::{Hello, HelloReply, LimitName, PipeError, Role};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::query::Query;
use earmark_protocol::reply::{Reply, Status};
use earmark_protocol::wire_error::WireFault;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::trace::{Line, Schema, trace};

/// Where the page is.
pub fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md")
}

/// The page as it is.
pub fn read() -> String {
    let path = path();
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
}

/// A fenced block of the page.
pub struct Block {
    /// Its language.
    pub language: String,
    /// `name=` of its info string.
    pub name: String,
    /// `type=` of its info string, to its end.
    pub of: String,
    /// Its lines.
    pub text: String,
    /// Its first line in the page, and the one after its last.
    pub lines: std::ops::Range<usize>,
}

/// All named blocks.
pub fn blocks(page: &str) -> Vec<Block> {
    let lines: Vec<&str> = page.lines().collect();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if let Some(info) = lines[at].strip_prefix("```").filter(|info| !info.is_empty()) {
            let length = lines[at + 1..].iter().position(|line| *line == "```").expect("a fence that closes");
            let range = at + 1..at + 1 + length;
            let word = |key: &str| {
                info.split(' ').find_map(|word| word.strip_prefix(key)).unwrap_or_default().to_owned()
            };
            if info.contains("name=") {
                let language = info.split(' ').next().unwrap_or_default().to_owned();
                let text = lines[range.clone()].join("\n");
                let of = info.split_once("type=").map_or("", |(_, of)| of).to_owned();
                blocks.push(Block { language, name: word("name="), of, text, lines: range.clone() });
            }
            at = range.end;
        }
        at += 1;
    }
    blocks
}

/// Writes the page with other lines in these blocks, which stand in the order of the page.
pub fn write_anew(page: &str, blocks: &[(std::ops::Range<usize>, String)]) {
    let mut lines: Vec<&str> = page.lines().collect();
    for (range, text) in blocks.iter().rev() {
        lines.splice(range.clone(), text.lines());
    }
    std::fs::write(path(), lines.join("\n") + "\n").expect("the page can be written");
}

/// The bytes of a hex block: what stands after `#` are notes.
pub fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    digits.map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits")).collect()
}

/// The hex block of lines.
pub fn hex_of(lines: &[Line]) -> String {
    const BYTES_PER_LINE: usize = 16;
    let mut hex = String::new();
    for line in lines {
        for (number, bytes) in line.bytes.chunks(BYTES_PER_LINE).enumerate() {
            let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let note = if number == 0 { &line.note } else { "…" };
            writeln!(hex, "{:<47}  # {}", bytes.join(" "), note).expect("a string takes all");
        }
    }
    hex.trim_end().to_owned()
}

/// An example, encoded and traced.
pub struct Example {
    /// As the library encodes it.
    pub bytes: Vec<u8>,
    /// As the tracer writes it.
    pub lines: Vec<Line>,
    /// The value that the library reads from these bytes, as JSON.
    pub read_back: Value,
    /// The kinds of messages in it.
    pub kinds: Vec<Kind>,
}

/// The value of a JSON block, encoded and traced.
pub fn example(of: &str, json: &str, schema: &mut Schema) -> Example {
    let value: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {json}"));
    match of {
        "Frame" => frame(&value, schema),
        "HoldOne" => {
            fixed(&from_json::<HoldOne>(&value).to_bytes(), HOLD_ONE, |bytes| to_json(HoldOne::read(bytes)))
        }
        "HoldOneReply" => fixed(&from_json::<HoldOneReply>(&value).to_bytes(), HOLD_ONE_REPLY, |bytes| {
            to_json(HoldOneReply::read(bytes))
        }),
        "Command" => coded::<Command>(&value, schema),
        "Query" => coded::<Query>(&value, schema),
        "Reply" => coded::<Reply>(&value, schema),
        "Hello" => coded::<Hello>(&value, schema),
        "HelloReply" => coded::<HelloReply>(&value, schema),
        "PipeError" => coded::<PipeError>(&value, schema),
        "list of Role" => coded::<Vec<Role>>(&value, schema),
        "list of LimitName" => coded::<Vec<LimitName>>(&value, schema),
        "list of WireFault" => coded::<Vec<WireFault>>(&value, schema),
        "list of NodeKind" => coded::<Vec<NodeKind>>(&value, schema),
        "list of NodeState" => coded::<Vec<NodeState>>(&value, schema),
        "list of Correction" => coded::<Vec<Correction>>(&value, schema),
        "list of Disposition" => coded::<Vec<Disposition>>(&value, schema),
        "list of Status" => coded::<Vec<Status>>(&value, schema),
        _ => panic!("an example of the unknown type {of:?}"),
    }
}

/// Fields and bytes of the body of a HoldOne.
pub const HOLD_ONE: &[(&str, usize)] = &[
    ("id", 16),
    ("sku", 4),
    ("node", 4),
    ("quantity", 4),
    ("lifetime_ms", 4),
    ("give_up_ms", 4),
    ("segment", 2),
    ("class", 1),
    ("flags", 1),
];

/// Fields and bytes of the body of a HoldOneReply.
pub const HOLD_ONE_REPLY: &[(&str, usize)] =
    &[("lsn", 8), ("deadline", 8), ("detail", 8), ("code", 2), ("field", 2), ("status", 1), ("reserved", 3)];

fn from_json<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error} in {value}"))
}

fn to_json<T: Serialize, E: std::fmt::Debug>(value: Result<T, E>) -> Value {
    serde_json::to_value(value.expect("bytes that read back")).expect("values that are JSON")
}

fn coded<T: Serialize + DeserializeOwned>(value: &Value, schema: &mut Schema) -> Example {
    let value: T = from_json(value);
    let mut bytes = Vec::new();
    codec::encode(&value, &mut bytes);
    let read_back = to_json(codec::decode::<T>(&bytes));
    Example { lines: trace(&value, schema), bytes, read_back, kinds: Vec::new() }
}

fn fixed(bytes: &[u8], layout: &[(&str, usize)], read: impl Fn(&[u8]) -> Value) -> Example {
    let mut at = 0;
    let lines = layout.iter().map(|(name, length)| {
        let bytes = bytes[at..at + length].to_vec();
        at += length;
        let mut word = [0; 8];
        let note = if bytes.len() <= 8 {
            word[..bytes.len()].copy_from_slice(&bytes);
            format!("{name} = {}", i64::from_le_bytes(word))
        } else {
            (*name).to_owned()
        };
        Line { bytes, note }
    });
    Example { lines: lines.collect(), bytes: bytes.to_vec(), read_back: read(bytes), kinds: Vec::new() }
}

/// A frame, as `{"frame": [{"kind": …, "correlation": …, "body": …}]}`.
fn frame(value: &Value, schema: &mut Schema) -> Example {
    let mut writer = FrameWriter::new(1 << 20);
    let mut kinds = Vec::new();
    let mut bodies = Vec::new();
    for message in value["frame"].as_array().expect("a list of messages") {
        let name = message["kind"].as_str().expect("a kind");
        let kind = *Kind::ALL.iter().find(|kind| format!("{kind:?}") == name).expect("a known kind");
        let correlation = message["correlation"].as_u64().expect("a correlation") as u32;
        let body = example(name, &message["body"].to_string(), schema);
        writer.push_body(kind, correlation, &body.bytes).expect("a message that fits");
        kinds.push(kind);
        bodies.push(body);
    }
    let bytes = writer.take();
    let (whole, _) = Frame::parse(&bytes, 1 << 20, 0).expect("a frame").expect("all of it");
    let mut lines = vec![
        line(&bytes[0..4], format!("frame: length = {}", bytes.len() - 4)),
        line(&bytes[4..6], format!("frame: count = {}", whole.count())),
        line(&bytes[6..8], "frame: reserved".to_owned()),
    ];
    let mut read_back = Vec::new();
    for (message, body) in whole.messages().zip(bodies) {
        let message = message.expect("a message");
        let header = &bytes[message.offset as usize - 12..message.offset as usize];
        lines.push(line(&header[0..4], format!("message: length = {}", message.body.len())));
        lines.push(line(&header[4..8], format!("message: correlation = {}", message.correlation)));
        lines.push(line(&header[8..9], format!("message: kind = {:?}", message.kind)));
        lines.push(line(&header[9..10], "message: flags".to_owned()));
        lines.push(line(&header[10..12], "message: reserved".to_owned()));
        lines.extend(body.lines);
        read_back.push(serde_json::json!({
            "kind": format!("{:?}", message.kind),
            "correlation": message.correlation,
            "body": body.read_back,
        }));
    }
    Example { bytes, lines, read_back: serde_json::json!({ "frame": read_back }), kinds }
}

fn line(bytes: &[u8], note: String) -> Line {
    Line { bytes: bytes.to_vec(), note }
}

/// The rows of the table under the heading that ends with this name in backquotes, header left out, links and
/// backquotes taken off.
pub fn table(page: &str, name: &str) -> Option<Vec<Vec<String>>> {
    let heading = format!(" `{name}`");
    let mut lines = page.lines().skip_while(|line| !(line.starts_with('#') && line.ends_with(&heading)));
    lines.next()?;
    let rows = lines.take_while(|line| !line.starts_with('#')).skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    Some(rows.map(|row| row.trim_matches('|').split('|').map(plain).collect()).collect())
}

/// The text of a cell.
fn plain(cell: &str) -> String {
    let mut text = cell.trim().replace('`', "");
    while let (Some(open), Some(close)) = (text.find("]("), text.find(')')) {
        let begin = text[..open].rfind('[').expect("a link that opens");
        text = format!("{}{}{}", &text[..begin], &text[begin + 1..open], &text[close + 1..]);
    }
    text
}

/// Every `](#…)` of the page whose heading is not there.
pub fn dead_links(page: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for heading in page.lines().filter(|line| line.starts_with('#')) {
        let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        let slug: String =
            text.chars().filter(|char| char.is_alphanumeric() || "-_".contains(*char)).collect();
        let numbered =
            (0..).map(|number| if number == 0 { slug.clone() } else { format!("{slug}-{number}") });
        anchors.extend(numbered.into_iter().find(|anchor| !anchors.contains(anchor)));
    }
    let links = page.split("](#").skip(1).filter_map(|rest| rest.split(')').next());
    links.filter(|link| !anchors.iter().any(|anchor| anchor == link)).map(str::to_owned).collect()
}
