//! What is not this daemon's to open is refused, and left as it was.

use super::*;

/// The daemon refuses this directory and changes nothing in it. What it says.
fn refuses(directory: &Path) -> String {
    let before = files(directory);
    let said = Process::start(directory).ended();
    let after = files(directory);
    assert!(before == after, "a refused start changes nothing; it said {said}");
    said
}

#[test]
fn a_second_daemon_on_one_directory() {
    let data = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let first = Process::start(data.path());
        let client = first.connect().await;
        shop::stock(&client, 1).await;
        let said = Process::start(data.path()).ended();
        assert!(said.contains(&format!("another daemon (process {})", first.id())), "{said}");
        assert!(said.contains("stop it, or give this one a directory of its own"), "{said}");
        shop::holds(&client, 1).await;
        client.close().await;
        first.stop();
    });
}

#[test]
fn a_log_of_a_newer_version() {
    let data = tempfile::tempdir().unwrap();
    killed(data.path(), 3);
    change(&data.path().join("0000000001.log"), |bytes| {
        bytes[8] = 2;
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    });
    let said = refuses(data.path());
    assert!(
        said.contains("segment 0000000001.log is of version 2, and this build reads version 1"),
        "{said}"
    );
    let (code, told) = earmark(&["log", "check"], data.path());
    assert_eq!((code, &told[0]["start"]["outcome"]), (1, &Value::from("refuses")));
}

#[test]
fn an_image_of_a_newer_version() {
    let data = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let process = Process::start(data.path());
        let client = process.connect().await;
        shop::stock(&client, 1).await;
        client.close().await;
        process.stop();
    });
    let [image] = &images(data.path())[..] else { panic!("a clean stop makes an image") };
    change(&data.path().join(image), |bytes| {
        bytes[8] = 2;
        let checksum = crc32c::crc32c(&bytes[..4092]);
        bytes[4092..4096].copy_from_slice(&checksum.to_le_bytes());
    });
    let said = refuses(data.path());
    assert!(
        said.contains(&format!("{image}: it has image version 2, this build knows versions up to 1")),
        "{said}"
    );
    assert_eq!(earmark(&["snapshot", "inspect"], data.path()).0, 1);
}

#[test]
fn a_capacity_that_has_no_room_for_what_is_there() {
    let data = tempfile::tempdir().unwrap();
    killed(data.path(), 3);
    let less = |program: &mut Command| {
        program.args(["--capacity.reservations", "2"]);
    };
    let said = Process::start_with(data.path(), less).ended();
    assert!(said.contains("capacity.reservations is 2, and 3 are in use"), "{said}");
    runtime().block_on(async {
        let more = |program: &mut Command| {
            program.args(["--capacity.reservations", "8000000", "--capacity.cells", "9000000"]);
        };
        let process = Process::start_with(data.path(), more);
        assert_eq!(shop::digest(&process.connect().await).await.held, 3);
    });
}

#[test]
fn more_memory_than_the_process_may_have() {
    const GIB: u64 = 1 << 30;
    let data = tempfile::tempdir().unwrap();
    let facts_bytes = (64 * GIB).to_string();
    runtime().block_on(async {
        // Killed before there is an image: its log says how much memory it has.
        let mut process = Process::start_with(data.path(), |program| {
            program.args(["--capacity.facts_bytes", &facts_bytes]);
        });
        shop::stock(&process.connect().await, 1).await;
        process.kill();
    });
    let limited = |arguments: &[&str]| {
        let within = format!("ulimit -v {}; exec \"$0\" \"$@\"", 48 * GIB / 1024);
        let mut command = Command::new("sh");
        command.args(["-c", &within, env!("CARGO_BIN_EXE_earmark")]).args(arguments);
        let output = command.arg("--data-dir").arg(data.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said}");
        said
    };
    let orders = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/store/orders.csv");
    let policy = orders.with_file_name("../policy.toml");
    let replay = ["replay", "--orders", orders.to_str().unwrap(), "--policy", policy.to_str().unwrap()];
    for arguments in [&["serve", "--server.listen", "127.0.0.1:0"][..], &replay] {
        let said = limited(arguments);
        let named = format!("reserving address space for capacity.facts_bytes = {facts_bytes}: ");
        assert!(said.contains(&named) && said.contains("ulimit -v"), "{said}");
        assert!(!said.contains("panicked") && !said.contains("another version"), "{said}");
    }
}
