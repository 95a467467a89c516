//! Writes the hex blocks of docs/protocol.md from the JSON blocks in front of them:
//! `cargo run -p earmark-protocol --example golden`. Look at what changed: bytes of a released version never may.

#[path = "../tests/vectors/mod.rs"]
mod vectors;

use vectors::page;
use vectors::trace::Schema;

fn main() -> std::io::Result<()> {
    let text = page::read();
    let blocks = page::blocks(&text);
    let mut schema = Schema::default();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // From the end, so that the places of the blocks in front stay.
    for hex in blocks.iter().rev().filter(|block| block.language == "hex") {
        let json = blocks.iter().find(|block| block.language == "json" && block.name == hex.name);
        let json = json.unwrap_or_else(|| panic!("the hex block {} has no JSON block", hex.name));
        let example = page::example(&json.of, &json.text, &mut schema);
        let block = page::hex_of(&example.lines);
        lines.splice(hex.lines.clone(), block.lines().map(str::to_owned));
    }
    std::fs::write(page::path(), lines.join("\n") + "\n")
}
