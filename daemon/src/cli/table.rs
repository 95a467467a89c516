//! Small tables: columns as wide as their widest field, numbers to the right.

/// Rows under a header.
#[derive(Clone, Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// A table of these columns; those whose name starts with `>` stand to the right.
    #[must_use]
    pub(super) fn new(columns: &[&str]) -> Self {
        let right = columns.iter().map(|name| name.starts_with('>')).collect();
        Self {
            rows: vec![columns.iter().map(|name| name.trim_start_matches('>').to_owned()).collect()],
            right,
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, fields: impl IntoIterator<Item = String>) {
        self.rows.push(fields.into_iter().collect());
    }

    /// The table as text, each line after `indent`.
    #[must_use]
    pub(super) fn text(&self, indent: &str) -> String {
        let wide = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|field| field.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.right.len()).map(wide).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for ((field, &width), &right) in row.iter().zip(&widths).zip(&self.right) {
                line += &if right { format!("{field:>width$}  ") } else { format!("{field:<width$}  ") };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_field() {
        let mut table = Table::new(&["sku", ">units"]);
        table.row(["MUG-BLUE".to_owned(), "7".to_owned()]);
        table.row(["é".to_owned(), "1200".to_owned()]);
        assert_eq!(table.text("  "), "  sku       units\n  MUG-BLUE      7\n  é          1200\n");
    }
}
