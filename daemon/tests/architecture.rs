//! The architecture page is true: every path on it exists, and crates import what it says and nothing else of ours.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace holds the crate").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("reading {path}: {error}"))
}

/// What stands between single backticks.
fn quoted(page: &str) -> Vec<&str> {
    page.split("```").step_by(2).flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_path_in_the_documents_exists() {
    for page in [
        "docs/architecture.md",
        "docs/durability.md",
        "docs/testing.md",
        "docs/performance.md",
        "CONTRIBUTING.md",
        "README.md",
    ] {
        let text = read(page);
        let paths = quoted(&text).into_iter().filter(|word| {
            let ends_like_a_file = [".rs", ".md", ".toml", ".sh", "/"].iter().any(|end| word.ends_with(end));
            word.contains('/')
                && ends_like_a_file
                && !word.contains(['*', ' ', ':', '<'])
                && !word.starts_with("../")
        });
        for path in paths {
            assert!(root().join(path).exists(), "{page} names {path}, which does not exist");
        }
    }
}

#[test]
fn crates_import_what_the_page_says_and_nothing_else_of_ours() {
    let page = read("docs/architecture.md");
    let mut checked = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [krate, _, imports] = cells[..] else { continue };
        let package = |name| if name == "daemon" { "earmark".to_owned() } else { format!("earmark-{name}") };
        let said: BTreeSet<String> = quoted(imports).into_iter().map(package).collect();
        let manifest = read(&format!("{}Cargo.toml", krate.trim_matches('`')));
        let dependencies =
            manifest.split("\n[").find(|part| part.starts_with("dependencies]")).unwrap_or_default();
        let real: BTreeSet<String> = dependencies
            .lines()
            .filter_map(|line| line.split([' ', '=', '.']).next().map(str::to_owned))
            .filter(|name| name == "earmark" || name.starts_with("earmark-"))
            .collect();
        assert_eq!(real, said, "{krate}");
        checked += 1;
    }
    assert_eq!(checked, 7, "the table of crates");
}

#[test]
fn clocks_sockets_and_threads_stay_where_they_belong() {
    for room in ["daemon/engine/src", "snapshot/src"] {
        for file in rust_files(&root().join(room)) {
            let text = std::fs::read_to_string(&file).expect("a source file");
            for word in ["tokio", "quinn", "Instant::now", "SystemTime", "thread::spawn(", "std::net"] {
                let is_model_checker = word == "thread::spawn(" && file.ends_with("loom_tests.rs");
                assert!(is_model_checker || !text.contains(word), "{} names {word}", file.display());
            }
        }
    }
}

#[test]
fn bincode_is_named_in_one_file() {
    let named: Vec<PathBuf> =
        ["protocol/src", "daemon/src", "daemon/engine/src", "snapshot/src", "loadgen/src"]
            .iter()
            .flat_map(|room| rust_files(&root().join(room)))
            .filter(|file| std::fs::read_to_string(file).expect("a source file").contains("bincode::"))
            .collect();
    assert_eq!(named, [root().join("protocol/src/codec.rs")]);
}

#[test]
fn no_room_has_grown_past_six_hundred_lines() {
    for room in ["protocol", "snapshot", "daemon", "loadgen", "benches"] {
        for file in rust_files(&root().join(room)) {
            let lines = std::fs::read_to_string(&file).expect("a source file").lines().count();
            assert!(lines <= 600, "{} has {lines} lines: look for the second idea in it", file.display());
        }
    }
}

fn rust_files(room: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(room).expect("a room") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files
}
