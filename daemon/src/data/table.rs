//! Reads a CSV or JSON-lines file, gzipped or not, row by row. It knows columns by name and nothing of what
//! they mean; every row it cannot read is noted and the next one is tried.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::quotes::Quotes;
use super::trouble::BadRows;

/// A column of a data file.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name in the header, or the field's in JSON.
    pub name: &'static str,
    /// Whether every row must have it.
    pub required: bool,
}

/// A column that every row must have.
#[must_use]
pub const fn required(name: &'static str) -> Column {
    Column { name, required: true }
}

/// A column that may be left out, or empty.
#[must_use]
pub const fn optional(name: &'static str) -> Column {
    Column { name, required: false }
}

/// The endings of file names that are read, the plain ones.
pub const ENDINGS: [&str; 2] = ["csv", "jsonl"];

/// Longest line that is read. A file that is no table, or that was made to fill the memory, has longer ones.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Longest field: none of ours needs as much.
const FIELD_BYTES_MAX: usize = 1 << 10;

/// A value and the line it came from.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// Line of the file, the first is 1.
    pub line: u64,
    /// What it says.
    pub value: T,
}

/// Reads all rows of a file. `parse` makes a value of a row, or notes what is wrong with it; a row with anything
/// wrong gives no value. What cannot be read at all is noted too.
pub fn read<T>(
    path: &Path,
    columns: &'static [Column],
    bad: &mut BadRows,
    parse: impl FnMut(&mut Row<'_>) -> Option<T>,
) -> Vec<Located<T>> {
    let file = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
    let is_json = file.strip_suffix(".gz").unwrap_or(&file).ends_with(".jsonl");
    let mut reading = Reading { file: &file, columns, bad, parse, values: Vec::new() };
    match open(path) {
        Ok(input) if is_json => reading.json_lines(input),
        Ok(input) => reading.csv(input),
        Err(error) => reading.bad.push(&file, 0, "", format!("cannot be opened: {error}")),
    }
    reading.values
}

/// Opens a file, through gzip where its name ends in `.gz`.
pub fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = File::open(path)?;
    let gzipped = path.extension().is_some_and(|ending| ending == "gz");
    let input: Box<dyn Read> = if gzipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(Box::new(BufReader::with_capacity(1 << 16, ShortLines { input, begun: 0 })))
}

/// Ends where a line does not.
struct ShortLines<R> {
    input: R,
    /// Bytes of the line that is being read.
    begun: usize,
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.begun = match buffer[..count].iter().rposition(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(end) => count - end - 1,
            None => self.begun + count,
        };
        if self.begun > LINE_BYTES_MAX {
            return Err(io::Error::other(format!("a line is longer than {LINE_BYTES_MAX} bytes")));
        }
        Ok(count)
    }
}

/// One row: its fields as text, by name of column. Asking for a field that is wrong notes it.
pub struct Row<'a> {
    file: &'a str,
    line: u64,
    columns: &'static [Column],
    fields: &'a [Option<String>],
    bad: &'a mut BadRows,
    failed: bool,
}

impl Row<'_> {
    /// Its line.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The field of a required column, read by `reading`; `None` was noted.
    pub fn required<T>(&mut self, name: &str, reading: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        if self.field(name).is_none() {
            self.wrong(name, "it is empty; every row needs a value here");
            return None;
        }
        self.optional(name, reading)
    }

    /// The field of an optional column, read by `reading`; `None` where it is empty, or was noted.
    pub fn optional<T>(&mut self, name: &str, reading: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.field(name)?;
        if text.len() > FIELD_BYTES_MAX {
            let bytes = text.len();
            self.wrong(name, format!("it has {bytes} bytes; no field needs more than {FIELD_BYTES_MAX}"));
            return None;
        }
        match reading(text) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.wrong(name, reason);
                None
            }
        }
    }

    /// Whether the row has a value in a column, right or wrong.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// Notes that a column of this row is wrong.
    pub fn wrong(&mut self, name: &str, reason: impl Into<String>) {
        self.failed = true;
        self.bad.push(self.file, self.line, name, reason);
    }

    fn field(&self, name: &str) -> Option<&str> {
        let place = self.columns.iter().position(|column| column.name == name);
        let place = place.expect("only columns of the file's own table are asked for");
        self.fields[place].as_deref()
    }
}

struct Reading<'a, T, P> {
    file: &'a str,
    columns: &'static [Column],
    bad: &'a mut BadRows,
    parse: P,
    values: Vec<Located<T>>,
}

impl<T, P: FnMut(&mut Row<'_>) -> Option<T>> Reading<'_, T, P> {
    fn csv(&mut self, input: impl Read) {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(Quotes::new(input));
        let mut record = csv::ByteRecord::new();
        let places = match reader.read_byte_record(&mut record) {
            Ok(true) if is_cut_off(&reader) => return self.bad.push(self.file, 1, "", CUT_OFF),
            Ok(true) => match self.header(&record) {
                Some(places) => places,
                None => return,
            },
            Ok(false) => {
                return self.bad.push(self.file, 0, "", "it is empty; the first line names the columns");
            }
            Err(error) => return self.bad.push(self.file, 1, "", unreadable(&error)),
        };
        let mut fields = vec![None; self.columns.len()];
        loop {
            let line = reader.position().line();
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.bad.push(self.file, line, "", unreadable(&error)),
            }
            let line = record.position().map_or(line, csv::Position::line);
            if is_cut_off(&reader) {
                return self.bad.push(self.file, line, "", CUT_OFF);
            }
            if record.len() != places.len() {
                let reason = format!("it has {} fields; the header names {}", record.len(), places.len());
                self.bad.push(self.file, line, "", reason);
                continue;
            }
            let mut readable = true;
            for (bytes, &place) in record.iter().zip(&places) {
                match std::str::from_utf8(bytes) {
                    Ok(text) => put(&mut fields[place], text),
                    Err(_) => {
                        readable = false;
                        self.bad.push(self.file, line, self.columns[place].name, "it is not UTF-8");
                    }
                }
            }
            if readable {
                self.row(line, &fields);
            }
        }
    }

    /// Which column stands at which place of the line.
    fn header(&mut self, record: &csv::ByteRecord) -> Option<Vec<usize>> {
        let before = self.bad.total();
        let mut places = Vec::new();
        for (index, bytes) in record.iter().enumerate() {
            let text = String::from_utf8_lossy(bytes);
            let name = if index == 0 { text.trim_start_matches('\u{feff}') } else { &text }.trim();
            match self.columns.iter().position(|column| column.name == name) {
                Some(place) if places.contains(&place) => {
                    self.bad.push(self.file, 1, name, "the header names it twice");
                }
                Some(place) => places.push(place),
                None => {
                    let reason = format!("no such column; known are {}", names(self.columns));
                    self.bad.push(self.file, 1, name, reason);
                }
            }
        }
        for (place, column) in self.columns.iter().enumerate() {
            if column.required && !places.contains(&place) {
                self.bad.push(self.file, 1, column.name, "the header does not name it; it is required");
            }
        }
        (self.bad.total() == before).then_some(places)
    }

    fn json_lines(&mut self, mut input: impl BufRead) {
        let mut text = Vec::new();
        let mut fields = vec![None; self.columns.len()];
        for line in 1.. {
            text.clear();
            match input.read_until(b'\n', &mut text) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return self.bad.push(self.file, line, "", format!("cannot be read: {error}")),
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(&text) {
                Ok(Value::Object(object)) => {
                    if self.object(line, object, &mut fields) {
                        self.row(line, &fields);
                    }
                }
                Ok(_) => self.bad.push(self.file, line, "", "it is no JSON object; every line must be one"),
                Err(error) => self.bad.push(self.file, line, "", format!("it is no JSON: {error}")),
            }
        }
    }

    /// Lays the object's values out by column; whether all of them are known and plain.
    fn object(
        &mut self,
        line: u64,
        object: serde_json::Map<String, Value>,
        fields: &mut [Option<String>],
    ) -> bool {
        fields.fill(None);
        let before = self.bad.total();
        for (name, value) in object {
            let Some(place) = self.columns.iter().position(|column| column.name == name) else {
                let reason = format!("no such field; known are {}", names(self.columns));
                self.bad.push(self.file, line, &name, reason);
                continue;
            };
            match value {
                Value::Null => {}
                Value::String(text) => put(&mut fields[place], &text),
                Value::Number(number) => put(&mut fields[place], &number.to_string()),
                Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    self.bad.push(self.file, line, &name, "it is neither a text nor a number");
                }
            }
        }
        self.bad.total() == before
    }

    fn row(&mut self, line: u64, fields: &[Option<String>]) {
        let (file, columns) = (self.file, self.columns);
        let mut row = Row { file, line, columns, fields, bad: self.bad, failed: false };
        if let Some(value) = (self.parse)(&mut row)
            && !row.failed
        {
            self.values.push(Located { line, value });
        }
    }
}

/// Puts a text into a field, keeping its memory; an empty text is no value.
fn put(field: &mut Option<String>, text: &str) {
    let text = text.trim();
    if text.is_empty() {
        *field = None;
        return;
    }
    let kept = field.get_or_insert_with(String::new);
    kept.clear();
    kept.push_str(text);
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// Why a record is not taken that the end of the file ended.
const CUT_OFF: &str = "a quote opens and never closes; close it, or get the whole file";

/// Whether the record that was read last has a quote that never closes.
fn is_cut_off<R: Read>(reader: &csv::Reader<Quotes<R>>) -> bool {
    reader.get_ref().unclosed().is_some_and(|opened| opened < reader.position().byte())
}

fn unreadable(error: &csv::Error) -> String {
    format!("cannot be read: {error}")
}
