//! Bytes that nobody wrote: told from a write that was cut off, named by their place, never loaded, never passed over.

use super::*;

/// The frames of a log by its dump: lsn, file and offset of each record.
fn records(directory: &Path) -> Vec<(u64, String, usize)> {
    let (code, mut objects) = earmark(&["log", "dump"], directory);
    assert_eq!(code, 0);
    let last = objects.pop().expect("the number of records");
    assert_eq!(last["records"], objects.len());
    let place = |object: &Value| {
        let file = object["file"].as_str().expect("a name").to_owned();
        (object["lsn"].as_u64().expect("an lsn"), file, object["offset"].as_u64().expect("a place") as usize)
    };
    objects.iter().map(place).collect()
}

/// A directory whose daemon was killed within the second in which the log is not sealed yet.
fn killed_before_the_seal(holds: usize) -> (tempfile::TempDir, Vec<earmark_protocol::ids::CommandId>) {
    for _ in 0..10 {
        let data = tempfile::tempdir().unwrap();
        let held = killed(data.path(), holds);
        if earmark(&["log", "check"], data.path()).1[0]["end"]["last_frame"] == "records" {
            return (data, held);
        }
    }
    panic!("this machine is too slow to kill a daemon within a second");
}

/// Of a frame, behind its header of 64 bytes.
const BODY: usize = 70;

#[test]
fn the_newest_image_the_one_before_it_and_more_log_give_the_same_state() {
    let data = tempfile::tempdir().unwrap();
    let digest = runtime().block_on(async {
        let process = Process::start(data.path());
        let client = process.connect().await;
        shop::stock(&client, 1).await;
        shop::holds(&client, 3).await;
        client.close().await;
        process.stop();
        let process = Process::start(data.path());
        let client = process.connect().await;
        shop::holds(&client, 4).await;
        let digest = shop::digest(&client).await;
        client.close().await;
        process.stop();
        digest
    });
    let [newest, older] = &images(data.path())[..] else { panic!("two images are kept") };
    change(&data.path().join(newest), |bytes| bytes[9_000] ^= 4);
    let (code, told) = earmark(&["snapshot", "inspect"], data.path());
    assert_eq!((code, &told[0]["images"][0]["file"]), (1, &Value::from(newest.as_str())));
    assert_eq!(told[0]["images"][0]["damaged"][0]["section"], "scalars");
    assert_eq!(told[0]["images"][1]["file"], older.as_str());
    runtime().block_on(async {
        let process = Process::start_with(data.path(), |_| {});
        let client = process.connect().await;
        let found = shop::digest(&client).await;
        assert_eq!((found.quantities, found.held), (digest.quantities, 7));
        client.close().await;
        let said = process.stop();
        assert!(
            said.contains(&format!("{newest}: damaged")) && said.contains("the one before it is taken"),
            "{said}"
        );
    });
    assert!(data.path().join(format!("{newest}.damaged")).exists(), "it is kept to be looked at");
}

#[test]
fn the_middle_of_the_log_is_refused_by_segment_byte_and_record() {
    let data = tempfile::tempdir().unwrap();
    killed(data.path(), 20);
    assert_eq!(earmark(&["log", "check"], data.path()).0, 0);
    let (lsn, file, offset) = records(data.path()).swap_remove(9);
    change(&data.path().join(&file), |bytes| bytes[offset + BODY] ^= 1);
    let before = files(data.path());
    let said = Process::start(data.path()).ended();
    assert!(
        said.contains(&format!("segment {file} is damaged at byte {offset}, where record {lsn} must begin")),
        "{said}"
    );
    assert!(said.contains("inspect it with `earmark log check`"), "{said}");
    assert!(files(data.path()) == before, "a refused start changes nothing");
    let (code, told) = earmark(&["log", "check"], data.path());
    let check = &told[0];
    assert_eq!((code, &check["sound"], &check["start"]["outcome"]), (1, &false.into(), &"refuses".into()));
    assert_eq!((&check["gaps"][0]["lsn"], &check["gaps"][0]["offset"]), (&lsn.into(), &offset.into()));
    assert_eq!(check["gaps"][0]["resumed"][2], lsn + 1, "what is behind it can still be read");
    let (code, dumped) = earmark(&["log", "dump"], data.path());
    assert_eq!(code, 1);
    let gap = dumped.iter().find(|object| !object["unreadable"].is_null()).expect("the dump tells of it");
    assert_eq!(gap["unreadable"], serde_json::json!([lsn, lsn]));
}

#[test]
fn a_write_that_was_cut_off_is_dropped_and_told_and_all_before_it_is_there() {
    let (data, held) = killed_before_the_seal(6);
    // The last write, when nothing came behind it, is as a power cut leaves it when it was under way.
    let (lsn, file, offset) = records(data.path()).pop().expect("a record");
    change(&data.path().join(&file), |bytes| bytes[offset + BODY] ^= 1);
    let (code, told) = earmark(&["log", "check"], data.path());
    assert_eq!((code, &told[0]["end"]["torn"]["lsn"]), (0, &lsn.into()), "a torn tail is no damage");
    runtime().block_on(async {
        let process = Process::start(data.path());
        let client = process.connect().await;
        assert!(shop::are_held(&client, &held[..5]).await);
        assert!(!shop::are_held(&client, &held[5..]).await);
        client.close().await;
        let said = process.stop();
        assert!(said.contains("was cut off") && said.contains(&format!("from_lsn={lsn}")), "{said}");
    });
    assert_eq!(earmark(&["log", "check"], data.path()).0, 0);
}

#[test]
fn once_an_idle_log_is_sealed_damage_to_its_last_write_is_known_for_what_it_is() {
    let data = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let mut process = Process::start(data.path());
        let client = process.connect().await;
        shop::stock(&client, 1).await;
        shop::holds(&client, 3).await;
        for _ in 0..1_000 {
            let (code, told) = earmark(&["log", "check"], data.path());
            assert_eq!(code, 0, "looking beside a running daemon: {told:?}");
            if told[0]["end"]["last_frame"] == "seal" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        process.kill();
    });
    let (lsn, file, offset) = records(data.path()).pop().expect("a record");
    change(&data.path().join(&file), |bytes| bytes[offset + BODY] ^= 1);
    let said = Process::start(data.path()).ended();
    assert!(said.contains(&format!("damaged at byte {offset}, where record {lsn} must begin")), "{said}");
}

#[test]
fn one_may_look_while_the_daemon_is_busy() {
    let data = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let process = Process::start(data.path());
        let client = process.connect().await;
        shop::stock(&client, 1).await;
        let load: Vec<_> = (0..8)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { while let Ok(Ok(_)) = shop::hold(&client).await {} })
            })
            .collect();
        // The load ends with the stock, so that the log has an end.
        for _ in 0..10 {
            let path = data.path().to_owned();
            let looked = tokio::task::spawn_blocking(move || earmark(&["log", "check"], &path));
            let (code, told) = looked.await.expect("it ends");
            assert_eq!(code, 0, "{told:?}");
        }
        load.into_iter().for_each(|one| one.abort());
        shop::digest(&client).await;
        client.close().await;
        process.stop();
    });
}
