//! The rules, each a function from sources to sentences about what is broken.

use std::collections::{BTreeMap, BTreeSet};

use crate::floors::{EDGES, FLOORS, OF_NOUNS};
use crate::source::Source;

const MOST_LINES_OF_A_FILE: usize = 500;
const MOST_LINES_OF_A_FUNCTION: usize = 80;

/// From a unit to the units it imports.
type Graph = BTreeMap<String, BTreeSet<String>>;

pub fn broken_rules(sources: &[Source]) -> Vec<String> {
    let mut broken: Vec<String> = sources.iter().flat_map(broken_in_file).collect();
    let graph = graph_of(sources);
    broken.extend(without_a_floor(sources));
    broken.extend(broken_edges(&graph));
    broken.extend(cycles(&graph));
    broken
}

fn broken_in_file(source: &Source) -> Vec<String> {
    let path = &source.path;
    let mut broken = Vec::new();
    if !source.documented {
        broken.push(format!("{path}: does not open with //!"));
    }
    if source.lines > MOST_LINES_OF_A_FILE {
        broken.push(format!("{path}: {} lines, more than {MOST_LINES_OF_A_FILE}", source.lines));
    }
    for (name, line, lines) in &source.functions {
        if *lines > MOST_LINES_OF_A_FUNCTION {
            broken.push(format!(
                "{path}:{line}: {name} has {lines} lines, more than {MOST_LINES_OF_A_FUNCTION}"
            ));
        }
    }
    if source.module.first().is_none_or(|module| module != "sys") {
        broken.extend(
            source.unsafes.iter().map(|line| format!("{path}:{line}: unsafe outside src/sys")),
        );
    }
    broken
}

/// A unit is a file or directory right below a top module (`kernel::cgroup`), or a top module's own file.
fn unit_of(path: &[String]) -> String {
    path.iter().take(2).cloned().collect::<Vec<_>>().join("::")
}

fn graph_of(sources: &[Source]) -> Graph {
    let units: BTreeSet<String> = sources.iter().map(|source| unit_of(&source.module)).collect();
    let mut graph = Graph::new();
    for source in sources.iter().filter(|source| !source.module.is_empty()) {
        let from = unit_of(&source.module);
        let imported = source.imports.iter().filter(|path| !path.is_empty()).map(|path| {
            let unit = unit_of(path);
            if units.contains(&unit) { unit } else { path[0].clone() }
        });
        let edges = graph.entry(from.clone()).or_default();
        edges.extend(
            imported.filter(|to| *to != from && units.iter().any(|unit| top(unit) == top(to))),
        );
    }
    graph
}

fn top(unit: &str) -> &str {
    unit.split("::").next().unwrap_or(unit)
}

fn floor_of(unit: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == top(unit)).map(|(_, floor)| *floor)
}

fn without_a_floor(sources: &[Source]) -> BTreeSet<String> {
    let tops = sources.iter().filter_map(|source| source.module.first());
    tops.filter(|name| floor_of(name).is_none())
        .map(|name| format!("{name} has no floor"))
        .collect()
}

fn broken_edges(graph: &Graph) -> Vec<String> {
    let edges =
        graph.iter().flat_map(|(from, tos)| tos.iter().map(move |to| (from.as_str(), to.as_str())));
    edges.filter_map(|(from, to)| broken_edge(from, to)).collect()
}

fn broken_edge(from: &str, to: &str) -> Option<String> {
    let (above, below) = (floor_of(from)?, floor_of(to)?);
    if below > above {
        return Some(format!("{from} (floor {above}) imports {to} (floor {below})"));
    }
    if below < above {
        return None;
    }
    let inside = top(from) == top(to);
    // A directory's mod.rs is its face: it and its files belong together.
    let is_face = from == top(from) || to == top(to);
    if inside && (is_face || !OF_NOUNS.contains(&top(from))) {
        return None;
    }
    let listed = EDGES.iter().any(|(a, b, _)| {
        (stands_for(a, from) && *b == to) || (!inside && *a == top(from) && *b == top(to))
    });
    (!listed).then(|| format!("{from} imports {to}: no such edge in tests/architecture/floors.rs"))
}

/// `kernel::*` stands for every file of the directory.
fn stands_for(pattern: &str, unit: &str) -> bool {
    pattern == unit || pattern.strip_suffix('*').is_some_and(|prefix| unit.starts_with(prefix))
}

/// Cycles between units; edges between a directory's files and its own mod.rs are not counted.
fn cycles(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for start in graph.keys() {
        let mut trail = vec![start.as_str()];
        follow(graph, &mut trail, &mut BTreeSet::new(), &mut found);
    }
    found
}

fn follow<'a>(
    graph: &'a Graph,
    trail: &mut Vec<&'a str>,
    seen: &mut BTreeSet<&'a str>,
    found: &mut Vec<String>,
) {
    let (start, here) = (trail[0], *trail.last().expect("a trail has a start"));
    for to in graph.get(here).into_iter().flatten().map(String::as_str) {
        if top(here) == top(to) && (here == top(here) || to == top(to)) {
            continue;
        }
        if to == start {
            // Each cycle is told once, from its first unit in the alphabet.
            if trail.iter().all(|unit| start <= *unit) {
                found.push(format!("cycle: {} -> {start}", trail.join(" -> ")));
            }
        } else if seen.insert(to) {
            trail.push(to);
            follow(graph, trail, seen, found);
            trail.pop();
        }
    }
}
