//! What the shell scripts of `integration/` may not contain.

/// Checks that can't fail: `set -e` passes over a command behind `!`, so its line counts only as the last of a function.
pub fn void_checks(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let next = lines.iter().skip(1).chain([&""]);
    let numbered = (1..).zip(lines.iter().zip(next));
    numbered
        .filter(|(_, (line, next))| line.starts_with("! ") && **next != "}")
        .map(|(number, _)| {
            format!("{path}:{number}: `set -e` does not see `!` fail; say expect_status")
        })
        .collect()
}
