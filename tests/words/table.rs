//! The tables as text: cases, and the answers that belong to them.

use super::answer::Expected;

/// One invocation.
pub struct Case {
    /// Its line in the file, from 1.
    pub number: usize,
    /// Set-up and command as they stand there.
    pub line: String,
    pub setup: Vec<String>,
    pub command: String,
    answer: Expected,
    others: Vec<(String, Expected)>,
}

impl Case {
    /// Whether it leaves a container as it was.
    pub fn only_asks(&self) -> bool {
        let mut words = self.command.split_whitespace();
        words.any(|word| {
            ["state", "ps", "list", "exec", "features", "help", "--help"].contains(&word)
        })
    }

    /// Whether it is to make a container.
    pub fn makes_containers(&self) -> bool {
        let mut words = self.command.split_whitespace();
        words.any(|word| ["create", "run", "restore"].contains(&word))
    }

    /// What the runtime of this name is to answer.
    pub fn expected(&self, name: &str) -> &Expected {
        let own = self.others.iter().find(|(other, _)| other == name);
        own.map_or(&self.answer, |(_, expected)| expected)
    }
}

/// The cases of a table; empty lines and those that begin with `#` are for people.
pub fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with(' ') {
            let (answer, reason) =
                line.rsplit_once(" # ").unwrap_or_else(|| panic!("line {number}: no reason"));
            assert!(!reason.trim().is_empty(), "line {number}: no reason");
            let (name, columns) = answer.split_once(" | ").expect("a runtime's name");
            let case = cases.last_mut().expect("a case above");
            case.others.push((name.trim().to_owned(), Expected::parse(columns)));
            continue;
        }
        let (line, columns) = line.split_once(" | ").unwrap_or((line, ""));
        let (setup, command) = line.split_once(" :: ").unwrap_or(("", line));
        cases.push(Case {
            number,
            line: line.trim().to_owned(),
            setup: setup.split("; ").filter(|step| !step.is_empty()).map(str::to_owned).collect(),
            command: command.trim().to_owned(),
            answer: Expected::parse(columns),
            others: Vec::new(),
        });
    }
    cases
}
