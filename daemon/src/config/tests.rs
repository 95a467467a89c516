//! What configuration promises: the default is valid, the strongest source wins, mistakes are named by place.

use super::*;

fn read(text: &str) -> Result<Config, Vec<String>> {
    let (mut config, mut misread) = (Config::default(), Misread::default());
    source::take_text(&mut config, "e.toml", text, &mut misread);
    config.checked(misread).map_err(|error| {
        error.problems.iter().map(|problem| format!("{}: {}", problem.origin, problem.message)).collect()
    })
}

fn variables<const N: usize>(variables: [(&str, &str); N]) -> [(OsString, OsString); N] {
    variables.map(|(name, value)| (name.into(), value.into()))
}

#[test]
fn the_default_is_possible_and_the_default_file_says_the_same() {
    Config::default().check().unwrap();
    let uncommented: String = default_file()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.split_once(" = ").is_some_and(|(name, _)| !name.contains([' ', '`'])) => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    let mut read = read(&uncommented).unwrap();
    assert_eq!(read.origins.len(), SETTINGS.len(), "every setting stands in the file");
    read.origins.clear();
    assert_eq!(read, Config::default());
}

#[test]
fn an_unknown_setting_is_refused_with_file_and_line() {
    let told = read("[server]\nio_cores = 1\nio_coers = 2\n").unwrap_err();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("e.toml:3: server.io_coers is no setting; server has server.listen"),
        "{told:?}"
    );
    let told = read("\n[sever]\nlisten = \"127.0.0.1:1\"\n").unwrap_err();
    assert!(told[0].starts_with("e.toml:2: sever is no section; there are server, commit"), "{told:?}");
    assert!(read("server = 3").unwrap_err()[0].starts_with("e.toml:1: server is a section"));
}

#[test]
fn an_impossible_setting_is_refused_with_file_and_line() {
    for (text, expected) in [
        ("[server]\n\nlisten = 7", "e.toml:3: server.listen: expected an address as text"),
        ("[server]\nlisten = \"here\"", "e.toml:2: server.listen: \"here\" is no address"),
        ("[server]\nio_cores = 65", "e.toml:2: server.io_cores: 65 is out of bounds; give 0 to 64 threads"),
        ("[server]\nio_cores = -1", "e.toml:2: server.io_cores: expected a whole number from 0 to 65535"),
        ("[commit]\nmode = \"both\"", "e.toml:2: commit.mode: expected \"auto\" or \"inline\" or \"thread\""),
        ("[routing]\nsplit_lines = 1", "e.toml:2: routing.split_lines: expected true or false"),
        ("[rules]\nclasses = []", "e.toml:2: rules.classes: 0 classes; give 1 to 256"),
        (
            "[rules]\nchannels = [{ name = \"web\", segments = [4096] }]",
            "e.toml:2: rules.channels: the channel",
        ),
        ("[rules]\nchannels = [{ nam = \"web\" }]", "e.toml:2: rules.channels: \"nam\" is not known here"),
        ("[overload]\nquote_ms = 500", "e.toml:2: overload.quote_ms: quotes are shed first"),
        (
            "[security]\nkey_file = \"k\"",
            "default: security.certificate_file: certificate and key belong together",
        ),
        (
            "[server]\nlisten = \"0.0.0.0:7447\"",
            "e.toml:2: server.listen: 0.0.0.0:7447 can be reached from outside",
        ),
        ("[log]\nlevel = \"info=loud\"", "e.toml:2: log.level: \"info=loud\" is no level"),
        ("[server]\nlisten = ", "e.toml:2: this is not TOML"),
    ] {
        let told = read(text).unwrap_err();
        assert!(told[0].starts_with(expected), "{text:?} gave {told:?}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let told = read("[server]\nwrong = 1\nio_cores = \"x\"\n[nowhere]\n").unwrap_err();
    assert_eq!(told.len(), 3, "{told:?}");
    // What cannot be read and what is impossible, in one round; also of one section.
    let told = read("[server]\nwrong = 1\nio_cores = 65\n[commit]\nqueue = 0\n").unwrap_err();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[1].contains("io_cores: 65 is out of bounds") && told[2].contains("commit.queue"),
        "{told:?}"
    );
    let told = read("[log]\nformat = \"xml\"\n[security]\nkey_file = \"k\"\n").unwrap_err();
    assert!(told[1].contains("certificate and key belong together"), "{told:?}");
}

#[test]
fn what_could_not_be_read_is_not_said_to_be_missing() {
    for text in [
        "[security]\ncertificat_file = \"c\"\nkey_file = \"k\"\n",
        "[security]\ncertificate_file = 7\nkey_file = \"k\"\n",
        "[server]\nlisten = \"0.0.0.0:7447\"\n[securty]\nkey_file = \"k\"\n",
        "[overload]\nquote_ms = \"many\"\nreserve_ms = 1\n",
    ] {
        assert_eq!(read(text).unwrap_err().len(), 1, "{text}: {:?}", read(text));
    }
}

#[test]
fn the_environment_is_stronger_than_the_file_and_flags_are_stronger_still() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[commit]\nqueue = 1\nbatch_max = 2\nexpiries_max = 3\n").unwrap();
    let environment =
        [("EARMARK_COMMIT_BATCH_MAX", "20"), ("EARMARK_COMMIT_EXPIRIES_MAX", "30"), ("EARMARK_TOKEN", "x")];
    let environment = variables(environment);
    let flags = [("commit.expiries_max".to_owned(), "300".to_owned())];
    let config = Config::load(Some(file.path()), environment, &flags).unwrap();
    assert_eq!((config.commit.queue, config.commit.batch_max, config.commit.expiries_max), (1, 20, 300));
}

#[test]
fn a_wrong_variable_or_flag_is_named() {
    let environment = variables([("EARMARK_SERVER_IO_COERS", "1")]);
    let flags = [("log.format".to_owned(), "xml".to_owned())];
    let told = Config::load(None, environment, &flags).unwrap_err().to_string();
    assert!(
        told.contains("environment variable EARMARK_SERVER_IO_COERS: server.io_coers is no setting"),
        "{told}"
    );
    assert!(told.contains("flag --log.format: log.format: expected \"human\" or \"json\""), "{told}");
}

#[test]
fn a_variable_that_is_no_text_is_told_where_it_would_set_something() {
    use std::os::unix::ffi::OsStringExt as _;
    let value = || OsString::from_vec(vec![b'/', 0xff]);
    assert!(Config::load(None, [("OTHER".into(), value()), (value(), value())], &[]).is_ok());
    let directory = "EARMARK_DURABILITY_DIRECTORY";
    let told = Config::load(None, [(directory.into(), value())], &[]).unwrap_err().to_string();
    assert!(
        told.contains(&format!("{directory}: durability.directory: ")) && told.contains("UTF-8"),
        "{told}"
    );
}

#[test]
fn a_variable_that_is_nearly_one_of_a_setting_is_noticed() {
    let nearest = |name: &str| misspelt([OsString::from(name)]).pop().map(|(_, known)| known);
    assert_eq!(nearest("EARMARK_SEVER_LISTEN").as_deref(), Some("EARMARK_SERVER_LISTEN"));
    assert_eq!(nearest("EARMARK_COMIT_BATCH_MAX").as_deref(), Some("EARMARK_COMMIT_BATCH_MAX"));
    assert_eq!(nearest("earmark_sever_listen"), None, "variables begin in capitals");
    for other in [
        // The command line's, then those that Kubernetes gives where a service is called `earmark`.
        "EARMARK_ADDRESS",
        "EARMARK_DATA_DIR",
        "EARMARK_TOKEN",
        "EARMARK_SERVICE_HOST",
        "EARMARK_SERVICE_PORT",
        "EARMARK_PORT",
        "EARMARK_PORT_7447_UDP",
        "EARMARK_PORT_7447_UDP_ADDR",
    ] {
        assert_eq!(nearest(other), None, "{other}");
    }
    // Refused at start, which says more.
    assert_eq!(nearest("EARMARK_SERVER_LISTN"), None);
}

#[test]
fn flags_are_made_from_the_table() {
    let command = flags(clap::Command::new("serve"));
    let matches = command.try_get_matches_from(["serve", "--server.listen", "127.0.0.1:0"]).unwrap();
    assert_eq!(flag_values(&matches), [("server.listen".to_owned(), "127.0.0.1:0".to_owned())]);
}

/// `docs/configuration.md` as the table has it.
fn page() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Configuration\n\n\
         Every setting has one name, `section.name`, and can be given in three places; the later is the stronger:\n\n\
         1. a TOML file (`earmark serve --config FILE`): `[section]`, then `name = value`;\n\
         2. an environment variable: `EARMARK_SECTION_NAME` (variables that begin with no section set nothing; a start warns of those \
         that are nearly one that does);\n\
         3. a flag of `earmark serve`: `--section.name VALUE`.\n\n\
         In variables and flags, text needs no quotes; lists are written as in TOML. A name that is none of these, a \
         value of another kind or out of bounds, and settings that contradict each other are refused before \
         anything starts, all at once and each with its place (`earmark.toml:12`, the variable, the flag). `earmark serve \
         --print-config` prints a file of all settings at their defaults.\n\n\
         This page is made from the table in `daemon/src/config/settings.rs`; a test keeps the two the same.\n",
    );
    for section in SECTIONS {
        let _ = write!(page, "\n## `[{}]`\n\n{}\n\n", section.name, section.about);
        page += "| setting | default | unit | bounds | what it does |\n|---|---|---|---|---|\n";
        let prefix = format!("{}.", section.name);
        for setting in SETTINGS.iter().filter(|setting| setting.key.starts_with(&prefix)) {
            let bounds = setting.range.map_or_else(String::new, |(low, high)| format!("{low} to {high}"));
            let (name, default) = (&setting.key[prefix.len()..], (setting.default)());
            let _ = writeln!(
                page,
                "| `{name}` | `{default}` | {} | {bounds} | {} |",
                setting.unit, setting.about
            );
        }
    }
    page
}

#[test]
fn the_configuration_page_says_what_the_table_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/configuration.md is not what the table says; run this test with UPDATE_DOCS=1"
    );
}
