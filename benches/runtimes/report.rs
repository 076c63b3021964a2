//! The figures as a page and a picture.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::facts::Facts;
use crate::figures::Figure;
use crate::scale::Row;
use crate::works::{Rig, Work};

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
    /// Times in large surroundings.
    pub scale: Vec<Row>,
}

impl Report {
    /// An empty one.
    pub fn new(rig: &Rig) -> Report {
        let names = rig.runtimes.iter().map(|runtime| runtime.name.clone()).collect();
        Report { names, works: Vec::new(), facts: Vec::new(), scale: Vec::new() }
    }

    /// As tables.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        self.times(&mut text);
        self.verbs(&mut text);
        self.large(&mut text);
        text
    }

    fn times(&self, text: &mut String) {
        let columns = self.names.join(" | ");
        let _ = writeln!(
            text,
            "| median (p90), ms | floor | {columns} | of crun | target | of floor |"
        );
        let _ = writeln!(text, "|---{}|", "|---:".repeat(self.names.len() + 4));
        for work in &self.works {
            let floor = cell(work.floor.as_ref());
            let cells: Vec<_> = work.runtimes.iter().map(|figure| cell(figure.as_ref())).collect();
            let etui = work.runtimes.first().and_then(Option::as_ref);
            let to = |other: Option<&Figure>| match (etui, other) {
                (Some(etui), Some(other)) => format!("{:.2}", etui.ratio(other)),
                _ => "-".into(),
            };
            let of_crun = to(work.runtimes.get(1).and_then(Option::as_ref));
            let of_floor = to(work.floor.as_ref());
            let _ = writeln!(
                text,
                "| {} | {floor} | {} | {of_crun} | {:.2} | {of_floor} |",
                work.name,
                cells.join(" | "),
                work.target
            );
        }
    }

    fn verbs(&self, text: &mut String) {
        text.push_str("\n| program | size, KB | verb | system calls | processor time, ms | resident, KiB | page faults |\n");
        text.push_str("|---|---:|---|---:|---:|---:|---:|\n");
        for facts in &self.facts {
            for (verb, usage, calls) in &facts.verbs {
                let Some(usage) = usage else { continue };
                let calls = calls.map_or_else(|| "-".into(), |calls| calls.to_string());
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

    fn large(&self, text: &mut String) {
        if self.scale.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n| median (p90), ms | {} |", self.names.join(" | "));
        let _ = writeln!(text, "|---{}|", "|---:".repeat(self.names.len()));
        for (name, figures) in &self.scale {
            let cells: Vec<_> = figures.iter().map(|figure| cell(figure.as_ref())).collect();
            let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
        }
    }

    /// Bars, one group for each work.
    pub fn svg(&self) -> String {
        const COLOURS: [&str; 5] = ["#888888", "#d1495b", "#30638e", "#edae49", "#00798c"];
        let longest = self.works.iter().flat_map(|work| work.runtimes.iter().flatten());
        let longest = longest.map(Figure::milliseconds).fold(1.0, f64::max);
        let mut bars = String::new();
        let mut y = 30;
        for work in &self.works {
            let _ =
                writeln!(bars, r#"<text x="10" y="{y}" font-weight="bold">{}</text>"#, work.name);
            let named = std::iter::once(("floor", work.floor.as_ref())).chain(
                self.names.iter().map(String::as_str).zip(work.runtimes.iter().map(Option::as_ref)),
            );
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

fn cell(figure: Option<&Figure>) -> String {
    match figure {
        Some(figure) => {
            format!("{:.2} ({:.2})", figure.milliseconds(), figure.p90.as_secs_f64() * 1e3)
        }
        None => "-".into(),
    }
}
