//! Tables of text in columns.

/// The narrowest a column is.
const MIN_WIDTH: usize = 12;
/// The least space between the widest entry of a column and the next column.
const PADDING: usize = 3;

/// Lays `rows` out in columns: all but the last as wide as its widest entry plus the padding, and not below the minimum.
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        (widest + PADDING).max(MIN_WIDTH)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        for (column, entry) in row.iter().enumerate() {
            let is_last = column + 1 == N;
            let width = if is_last { 0 } else { widths[column] };
            text.push_str(&format!("{entry:width$}"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["ID", "PID", "X"], ["a-rather-long-id", "1", "last"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(
            table(&rows),
            "ID                 PID         X\n\
             a-rather-long-id   1           last\n"
        );
    }
}
