//! What is wrong with data files: one entry per bad field, with file, line, column and reason. Entries past the
//! limit are counted, never dropped in silence.

use std::fmt;

use serde::Serialize;

/// How many bad fields are kept where nobody says otherwise.
pub const BAD_ROWS_MAX: usize = 100;

/// One thing wrong with one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// Name of the file inside the directory.
    pub file: String,
    /// Line of the file, the first is 1; 0 where the file as a whole is meant.
    pub line: u64,
    /// Name of the column; empty where the row as a whole is meant.
    pub column: String,
    /// What stood in the way.
    pub reason: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.column.is_empty() {
            // A name that is none of ours comes from the file as it is.
            write!(f, ", column {}", self.column.escape_debug())?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// All that is wrong, up to a limit.
#[derive(Clone, Debug)]
pub struct BadRows {
    rows: Vec<BadRow>,
    limit: usize,
    total: u64,
}

impl BadRows {
    /// An empty list that keeps at most `limit` entries.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { rows: Vec::new(), limit, total: 0 }
    }

    /// Notes one thing wrong.
    pub fn push(&mut self, file: &str, line: u64, column: &str, reason: impl Into<String>) {
        self.total += 1;
        if self.rows.len() < self.limit {
            let (file, column) = (file.to_owned(), column.to_owned());
            self.rows.push(BadRow { file, line, column, reason: reason.into() });
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The entries that were kept, in the order they were found.
    #[must_use]
    pub fn rows(&self) -> &[BadRow] {
        &self.rows
    }

    /// How many there were, those past the limit included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

impl fmt::Display for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        let kept = self.rows.len() as u64;
        if self.total > kept {
            writeln!(f, "… and {} more", self.total - kept)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_past_the_limit_are_counted_and_said() {
        let mut bad = BadRows::new(2);
        for line in 2..7 {
            bad.push("skus.csv", line, "code", "it is empty");
        }
        assert_eq!((bad.rows().len(), bad.total()), (2, 5));
        assert_eq!(
            bad.to_string(),
            "skus.csv:2, column code: it is empty\nskus.csv:3, column code: it is empty\n… and 3 more\n"
        );
    }
}
