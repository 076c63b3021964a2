//! Holds the house of `docs/architecture.md`: floors, edges, cycles, sizes, where `unsafe` may live.
//!
//! Each rule is proved to bite by a small bad source beside the check of the real ones.

#[path = "architecture/floors.rs"]
mod floors;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/scripts.rs"]
mod scripts;
#[path = "architecture/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use rules::broken_rules;
use scripts::void_checks;
use source::Source;

#[test]
fn the_house_stands() {
    let sources = sources_of(Path::new(env!("CARGO_MANIFEST_DIR")), Path::new("src"));
    assert!(sources.len() > 50, "only {} sources found", sources.len());
    let broken = broken_rules(&sources);
    assert!(broken.is_empty(), "{} rules broken:\n{}", broken.len(), broken.join("\n"));
}

fn sources_of(root: &Path, dir: &Path) -> Vec<Source> {
    let parse = |(path, text): (PathBuf, String)| {
        Source::parse(path.to_str().expect("a UTF-8 path"), &text)
    };
    files_of(root, dir, "rs").into_iter().map(parse).collect()
}

/// The files below a directory that end so, by their paths from the root, and their text.
fn files_of(root: &Path, dir: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join(dir)).expect("a source directory") {
        let path = dir.join(entry.expect("an entry").file_name());
        if root.join(&path).is_dir() {
            files.extend(files_of(root, &path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            let text = fs::read_to_string(root.join(&path)).expect("a source file");
            files.push((path, text));
        }
    }
    files
}

#[test]
fn no_check_of_the_lab_is_void() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scripts = files_of(root, Path::new("integration"), "sh");
    assert!(scripts.len() > 20, "only {} scripts found", scripts.len());
    let void: Vec<_> = scripts
        .iter()
        .flat_map(|(path, text)| void_checks(&path.to_string_lossy(), text))
        .collect();
    assert!(void.is_empty(), "{}", void.join("\n"));
}

#[test]
fn reports_a_void_check() {
    let script = "f() {\n    ! false\n    ! true\n}\n! true\n";
    let void = void_checks("a.sh", script);
    assert_eq!(void.len(), 2, "{void:#?}");
    assert_reported(&void, "a.sh:2: `set -e` does not see `!` fail");
    assert_reported(&void, "a.sh:5: ");
}

/// What is broken when these files make up the crate; each gets its module documentation.
fn broken_by(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<_> =
        files.iter().map(|(path, text)| Source::parse(path, &format!("//! A.\n{text}"))).collect();
    broken_rules(&sources)
}

#[track_caller]
fn assert_reported(broken: &[String], words: &str) {
    assert!(broken.iter().any(|rule| rule.contains(words)), "no {words:?} in {broken:#?}");
}

const SPEC: (&str, &str) = ("src/spec/mod.rs", "pub struct Spec;");

#[test]
fn good_sources_break_nothing() {
    let broken = broken_by(&[
        SPEC,
        ("src/host.rs", "pub struct Host;"),
        ("src/plan/mod.rs", "mod mounts;\nuse crate::{host::Host, spec::Spec};"),
        ("src/plan/mounts.rs", "use super::super::spec::Spec;\nuse crate::kernel::mounts::Op;"),
        ("src/kernel/mounts/mod.rs", "mod attach;\npub struct Op;"),
        (
            "src/kernel/mounts/attach.rs",
            "use super::Op;\n#[cfg(test)]\nmod tests { use crate::spec::Spec; }",
        ),
        ("src/main.rs", "use etui::cli;"),
        ("src/cli/mod.rs", ""),
    ]);
    assert_eq!(broken, [""; 0]);
}

#[test]
fn reports_an_upward_use() {
    let broken = broken_by(&[SPEC, ("src/kernel/mounts.rs", "use crate::spec::Spec;")]);
    assert_reported(&broken, "kernel::mounts (floor 1) imports spec (floor 2)");
}

#[test]
fn reports_an_upward_use_in_a_group() {
    let broken =
        broken_by(&[SPEC, ("src/kernel/mounts.rs", "use crate::{error, spec::{self, Spec}};")]);
    assert_reported(&broken, "kernel::mounts (floor 1) imports spec (floor 2)");
}

#[test]
fn reports_an_upward_inline_path() {
    let broken = broken_by(&[SPEC, ("src/kernel/mounts.rs", "fn f(_: &crate::spec::Spec) {}")]);
    assert_reported(&broken, "kernel::mounts (floor 1) imports spec (floor 2)");
}

#[test]
fn reports_an_upward_path_through_super() {
    let broken =
        broken_by(&[SPEC, ("src/kernel/mounts.rs", "fn f(_: &super::super::spec::Spec) {}")]);
    assert_reported(&broken, "kernel::mounts (floor 1) imports spec (floor 2)");
}

#[test]
fn reports_an_upward_path_inside_a_macro() {
    let broken =
        broken_by(&[SPEC, ("src/kernel/mounts.rs", "fn f() { vec![crate::spec::Spec]; }")]);
    assert_reported(&broken, "kernel::mounts (floor 1) imports spec (floor 2)");
}

#[test]
fn reports_an_edge_between_kernel_nouns_that_the_table_lacks() {
    let broken = broken_by(&[
        ("src/kernel/sysctl.rs", "use crate::kernel::terminal;"),
        ("src/kernel/terminal.rs", ""),
    ]);
    assert_reported(&broken, "kernel::sysctl imports kernel::terminal: no such edge");
}

#[test]
fn reports_a_cycle() {
    let broken = broken_by(&[
        ("src/spec/mod.rs", ""),
        ("src/spec/linux.rs", "use super::mounts::Mount;"),
        ("src/spec/mounts.rs", "use super::linux::Linux;"),
    ]);
    assert_reported(&broken, "cycle: spec::linux -> spec::mounts -> spec::linux");
}

#[test]
fn reports_a_module_without_a_floor() {
    let broken = broken_by(&[("src/misc.rs", "")]);
    assert_reported(&broken, "misc has no floor");
}

#[test]
fn reports_unsafe_outside_sys() {
    for text in [
        "fn f() { unsafe { g() } }",
        "unsafe fn f() {}",
        "struct S; unsafe impl Send for S {}",
        "unsafe extern \"C\" { fn g(); }",
        "fn f() { m!(unsafe { g() }); }",
    ] {
        assert_reported(
            &broken_by(&[("src/host.rs", text)]),
            "src/host.rs:2: unsafe outside src/sys",
        );
        assert_eq!(broken_by(&[("src/sys/mod.rs", text)]), [""; 0]);
    }
}

#[test]
fn reports_a_long_function() {
    let body = "g();\n".repeat(79);
    let broken =
        broken_by(&[("src/host.rs", &format!("struct S;\nimpl S {{ fn long() {{\n{body}}} }}"))]);
    assert_reported(&broken, "src/host.rs:3: long has 81 lines, more than 80");
}

#[test]
fn accepts_a_function_of_eighty_lines() {
    let body = "g();\n".repeat(78);
    assert_eq!(broken_by(&[("src/host.rs", &format!("fn fits() {{\n{body}}}"))]), [""; 0]);
}

#[test]
fn reports_a_long_file() {
    let broken = broken_by(&[("src/host.rs", &"//\n".repeat(500))]);
    assert_reported(&broken, "src/host.rs: 501 lines, more than 500");
}

#[test]
fn reports_a_module_without_documentation() {
    let broken = broken_rules(&[Source::parse("src/host.rs", "// A.\nstruct S;")]);
    assert_reported(&broken, "src/host.rs: does not open with //!");
}
