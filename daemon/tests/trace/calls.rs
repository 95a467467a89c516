//! System calls as strace writes them (`-f -yy -xx`): one line a call, or two where another thread came between.

use std::collections::HashMap;

/// One end of a system call; calls lie in the order they happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// It begins.
    Begins(usize),
    /// It has ended, and did not fail.
    Ended(usize),
}

/// A system call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// What its file descriptor is.
    pub(crate) file: String,
    /// All bytes it was given.
    pub(crate) bytes: Vec<u8>,
}

/// What was traced.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) calls: Vec<Call>,
    pub(crate) events: Vec<Event>,
}

/// Reads a trace.
pub(crate) fn read(text: &str) -> Calls {
    let mut all = Calls::default();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("<... ") {
            let Some(call) = open.remove(thread) else { continue };
            all.ended(call, rest);
        } else if let Some((name, rest)) = rest.split_once('(')
            && let Some(call) = call(name, rest)
        {
            all.events.push(Event::Begins(all.calls.len()));
            all.calls.push(call);
            if rest.contains("<unfinished ...>") {
                open.insert(thread, all.calls.len() - 1);
            } else {
                all.ended(all.calls.len() - 1, rest);
            }
        }
    }
    all
}

impl Calls {
    fn ended(&mut self, call: usize, line: &str) {
        let result = line.rsplit_once(" = ").map(|(_, result)| result);
        // It may have done less than it was asked to; then that much was said.
        if let Some(done) = result.and_then(|result| result.parse::<usize>().ok()) {
            let bytes = &mut self.calls[call].bytes;
            bytes.truncate(if bytes.is_empty() { 0 } else { done });
            self.events.push(Event::Ended(call));
        }
    }
}

/// `9<\x2f\x74…>, "\x45\x46…", 4096, 0) = 4096`.
fn call(name: &str, arguments: &str) -> Option<Call> {
    let (_, file) = arguments.split_once('<')?;
    let end = file.find(">, ").or_else(|| file.find(">)")).or_else(|| file.find("> "))?;
    let (file, rest) = file.split_at(end);
    // Every text is in hexadecimal, so none contains a quotation mark.
    let bytes = rest.split('"').skip(1).step_by(2).flat_map(unescaped).collect();
    let kind = file.split('\\').next().unwrap_or_default();
    let path = String::from_utf8_lossy(&unescaped(&file[kind.len()..])).into_owned();
    Some(Call { name: name.to_owned(), file: format!("{kind}{path}"), bytes })
}

/// The bytes of `\x45\x46`.
fn unescaped(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).filter_map(|digits| u8::from_str_radix(digits.get(..2)?, 16).ok()).collect()
}

#[test]
fn calls_are_read_whole_or_in_two_lines() {
    let calls = read(concat!(
        "10 pwrite64(5<\\x2f\\x61>, \"\\x01\\x02\\x03\", 3, 64) = 2\n",
        "10 fdatasync(5<\\x2f\\x61> <unfinished ...>\n",
        "11 sendto(7<UNIX-STREAM:[3->4,\"\\x73\"]>, \"\\x09\", 1, 0, NULL, 0) = 1\n",
        "10 <... fdatasync resumed>)               = 0\n",
        "11 fdatasync(5<\\x2f\\x61>)             = -1 EIO (Input/output error)\n",
    ));
    let names: Vec<&str> = calls.calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["pwrite64", "fdatasync", "sendto", "fdatasync"]);
    assert_eq!((calls.calls[0].file.as_str(), &calls.calls[0].bytes[..]), ("/a", &[1, 2][..]));
    assert!(calls.calls[2].file.starts_with("UNIX-STREAM") && calls.calls[2].bytes == [9]);
    let events: Vec<(bool, usize)> = calls
        .events
        .iter()
        .map(|event| match event {
            Event::Begins(call) => (true, *call),
            Event::Ended(call) => (false, *call),
        })
        .collect();
    let wanted = [(true, 0), (false, 0), (true, 1), (true, 2), (false, 2), (false, 1), (true, 3)];
    assert_eq!(events, wanted, "one that failed has not ended");
}
