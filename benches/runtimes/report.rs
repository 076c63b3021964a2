//! The figures as a page and a picture.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::calls;
use crate::facts::{Calls, Facts};
use crate::figures::Figure;
use crate::phases::Phase;
use crate::scale::Row;
use crate::works::{Rig, Round, Work};

/// What lies between these marks of the page is replaced; the words around are a person's.
const MARKS: (&str, &str) = ("<!-- figures -->\n", "<!-- end of figures -->\n");

/// All figures.
#[derive(Debug)]
pub struct Report {
    names: Vec<String>,
    /// Times.
    pub works: Vec<Work>,
    /// Counts and sizes.
    pub facts: Vec<Facts>,
    /// What calls cost under a filter.
    pub calls: Vec<calls::Row>,
    /// Where etui's time goes.
    pub phases: Vec<Phase>,
    /// Times in large surroundings.
    pub scale: Vec<Row>,
}

impl Report {
    /// An empty one.
    pub fn new(rig: &Rig) -> Report {
        let names = rig.runtimes.iter().map(|runtime| runtime.name.clone()).collect();
        Report {
            names,
            works: Vec::new(),
            facts: Vec::new(),
            calls: Vec::new(),
            phases: Vec::new(),
            scale: Vec::new(),
        }
    }

    /// As tables.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        self.times(&mut text);
        self.verbs(&mut text);
        self.beside_the_floor(&mut text);
        self.filtered_calls(&mut text);
        self.steps(&mut text);
        self.large(&mut text);
        text
    }

    fn times(&self, text: &mut String) {
        let columns = self.names.join(" | ");
        let _ = writeln!(
            text,
            "| median (p90), ms | floor | {columns} | of crun | target | of floor | target | met |"
        );
        let _ = writeln!(text, "|---{}|", "|---:".repeat(self.names.len() + 6));
        for work in &self.works {
            let middle = work.middle();
            let floor = cell(middle.floor.as_ref());
            let cells: Vec<_> =
                middle.runtimes.iter().map(|figure| cell(figure.as_ref())).collect();
            let of_floor = work.target.of_floor.map_or_else(|| "-".into(), |it| format!("{it:.2}"));
            let _ = writeln!(
                text,
                "| {} | {floor} | {} | {} | {:.2} | {} | {of_floor} | {} |",
                work.name,
                cells.join(" | "),
                ratios(&work.rounds, Round::of_crun),
                work.target.of_crun,
                ratios(&work.rounds, Round::of_floor),
                verdict(work),
            );
        }
    }

    fn verbs(&self, text: &mut String) {
        text.push_str("\n| program | size, KB | verb | system calls | processor time, ms | resident, KiB | page faults |\n");
        text.push_str("|---|---:|---|---:|---:|---:|---:|\n");
        for facts in &self.facts {
            for (verb, usage, calls) in &facts.verbs {
                let Some(usage) = usage else { continue };
                let calls =
                    calls.as_ref().map_or_else(|| "-".into(), |calls| total(calls).to_string());
                let milliseconds = usage.processor as f64 / 1e3;
                let _ = writeln!(
                    text,
                    "| {} | {} | {verb} | {calls} | {milliseconds:.1} | {} | {} |",
                    facts.version,
                    facts.size / 1000,
                    usage.resident,
                    usage.faults
                );
            }
        }
    }

    /// The floor is honest where it makes the calls that make a container as often as etui does.
    fn beside_the_floor(&self, text: &mut String) {
        let run = |facts: Option<&Facts>| {
            let verb = facts?.verbs.iter().find(|(verb, ..)| *verb == "run")?;
            verb.2.clone()
        };
        let (Some(etui), Some(floor)) = (run(self.facts.first()), run(self.facts.last())) else {
            return;
        };
        text.push_str("\n| system calls of `run` | floor | etui |\n|---|---:|---:|\n");
        for name in OF_CONTAINERS {
            let [floor, etui] = [&floor, &etui].map(|calls| calls.get(*name).copied().unwrap_or(0));
            let _ = writeln!(text, "| {name} | {floor} | {etui} |");
        }
    }

    fn filtered_calls(&self, text: &mut String) {
        let names = self.names.join(" | ");
        let _ = writeln!(text, "\n| ns a system call, Docker's profile | no filter | {names} |");
        let _ = writeln!(text, "|---{}|", "|---:".repeat(self.names.len() + 1));
        for (kind, nanoseconds) in &self.calls {
            let cell = |it: &Option<f64>| it.map_or_else(|| "-".into(), |it| format!("{it:.0}"));
            let cells: Vec<_> = nanoseconds.iter().map(cell).collect();
            let _ = writeln!(text, "| {kind} | {} |", cells.join(" | "));
        }
    }

    fn steps(&self, text: &mut String) {
        if self.phases.is_empty() {
            return;
        }
        text.push_str(
            "\n| us, medians | process | step | begins | takes |\n|---|---|---|---:|---:|\n",
        );
        for Phase { work, process, name, begins, takes } in &self.phases {
            let _ = writeln!(text, "| {work} | {process} | {name} | {begins:.0} | {takes:.0} |");
        }
    }

    fn large(&self, text: &mut String) {
        if self.scale.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n| median (p90), ms | floor | {} |", self.names.join(" | "));
        let _ = writeln!(text, "|---{}|", "|---:".repeat(self.names.len() + 1));
        for (name, Round { floor, runtimes }) in &self.scale {
            let cells: Vec<_> =
                std::iter::once(floor).chain(runtimes).map(|it| cell(it.as_ref())).collect();
            let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
        }
    }

    /// Bars, one group for each work.
    pub fn svg(&self) -> String {
        const COLOURS: [&str; 5] = ["#888888", "#d1495b", "#30638e", "#edae49", "#00798c"];
        let middles: Vec<_> = self.works.iter().map(|work| (work.name, work.middle())).collect();
        let longest = middles.iter().flat_map(|(_, middle)| middle.runtimes.iter().flatten());
        let longest = longest.map(Figure::milliseconds).fold(1.0, f64::max);
        let mut bars = String::new();
        let mut y = 30;
        for (work, middle) in &middles {
            let _ = writeln!(bars, r#"<text x="10" y="{y}" font-weight="bold">{work}</text>"#);
            let names = self.names.iter().map(String::as_str);
            let named = std::iter::once(("floor", middle.floor.as_ref()))
                .chain(names.zip(middle.runtimes.iter().map(Option::as_ref)));
            for ((name, figure), colour) in named.zip(COLOURS) {
                let Some(figure) = figure else { continue };
                y += 20;
                let milliseconds = figure.milliseconds();
                let width = milliseconds / longest * 520.0;
                let _ = writeln!(
                    bars,
                    r#"<text x="60" y="{y}" text-anchor="end">{name}</text><rect x="66" y="{}" width="{width:.1}" height="14" fill="{colour}"/><text x="{:.1}" y="{y}">{milliseconds:.1} ms</text>"#,
                    y - 11,
                    width + 72.0,
                );
            }
            y += 34;
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"700\" height=\"{y}\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{bars}</svg>\n"
        )
    }

    /// Puts the tables into docs/performance.md, between its marks, and the picture beside it.
    pub fn write(&self, project: &Path) -> Result<()> {
        let page = project.join("docs/performance.md");
        let text = fs::read_to_string(&page)?;
        let (before, rest) =
            text.split_once(MARKS.0).ok_or("docs/performance.md lost its marks")?;
        let (_, after) = rest.split_once(MARKS.1).ok_or("docs/performance.md lost its marks")?;
        fs::write(&page, [before, MARKS.0, &self.markdown(), MARKS.1, after].concat())?;
        Ok(fs::write(project.join("docs/performance.svg"), self.svg())?)
    }
}

/// What makes and unmakes a container; the rest is start-up, reading and checking.
const OF_CONTAINERS: &[&str] = &[
    "bpf",
    "capset",
    "clone3",
    "execve",
    "execveat",
    "fsconfig",
    "fsmount",
    "fsopen",
    "ioctl",
    "keyctl",
    "mkdir",
    "mkdirat",
    "mknodat",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "openat2",
    "pivot_root",
    "prctl",
    "rmdir",
    "setgroups",
    "sethostname",
    "setns",
    "setresgid",
    "setresuid",
    "setsid",
    "symlinkat",
    "umount2",
    "unshare",
];

fn total(calls: &Calls) -> u64 {
    calls.values().sum()
}

/// The ratio of each round.
fn ratios(rounds: &[Round], of: impl Fn(&Round) -> Option<f64>) -> String {
    let all: Option<Vec<_>> =
        rounds.iter().map(|round| Some(format!("{:.2}", of(round)?))).collect();
    all.filter(|all| !all.is_empty()).map_or_else(|| "-".into(), |all| all.join(" "))
}

/// In how many rounds etui did what is asked of it.
fn verdict(work: &Work) -> String {
    let met: Option<Vec<_>> = work.rounds.iter().map(|round| round.meets(work.target)).collect();
    match met {
        Some(met) => {
            format!("{} of {}", met.iter().filter(|met| **met).count(), met.len())
        }
        None => "-".into(),
    }
}

fn cell(figure: Option<&Figure>) -> String {
    match figure {
        Some(figure) => {
            format!("{:.2} ({:.2})", figure.milliseconds(), figure.p90.as_secs_f64() * 1e3)
        }
        None => "-".into(),
    }
}
