"""What the suite holds and what runtimes answered, as text and as Markdown."""

import json
from collections import Counter
from pathlib import Path

from reds import REDS

PREFACE = """# Conformance to runtime-spec 1.3.0

Every MUST and MUST NOT of the specification's `runtime.md`, `config.md`, `config-linux.md`, `features.md` and
`features-linux.md` is a numbered statement in `runtime-spec/`, in our own words, with the test that shows it; the
words are counted, and the suite does not start when they don't add up. `make conformance` holds etui against it (so
does `make test`), `RUNTIME=... runtime-spec/run` any other runtime, `runtime-spec/peer runc` those of the lab;
`runtime-spec/run --list` says which sentences a statement joins.

*green*: shown. *red*: not so, explained below. *not here*: it takes hardware, a controller or a choice of the runtime
that was not there, said below. *n/a*: a demand on another platform than Linux. What wants controllers on cgroup v2
was run in the lab, Intel RDT on a stand-in for resctrl (`runtime-spec/resctrl.py`), which runc and crun do not take.

The last column is how the test was proved: `make conformance ARGS=--wrong` runs each on a runtime that is wrong in
this one thing, and *(seen)* says that the test failed there. `make conformance-page` makes this page anew; it is not
edited by hand.
"""

SHOWN = {"pass": "green", "FAIL": "**red**", "elsewhere": "not here", "n/a": "n/a", None: "-"}


def print_list(statements, words):
    for file, count in words.items():
        held = [s for s in statements if s.file == file]
        other = sum(s.words for s in held if s.platform)
        print(f"{file}: {len(held)} statements for {count} words, {other} of them on other platforms")
        for s in held:
            print(f"  {s.name:18} {s.section}: {s.text}" + (f" [{s.platform}]" if s.platform else ""))
            if s.joins:
                print(f"  {'':18} joins {s.words} words: {s.joins}")


def print_counts(statements, results, version):
    print(f"# {version}")
    print(f"# {'file':18} {'statements':>10} {'words':>6} {'green':>6} {'red':>4} {'not here':>9} {'n/a':>4}")
    for file in dict.fromkeys(s.file for s in statements):
        held = [s for s in statements if s.file == file]
        counts = Counter(results[s.name]["result"] for s in held)
        words = sum(s.words for s in held)
        print(f"# {file:18} {len(held):10} {words:6} {counts['pass']:6} {counts['FAIL']:4} "
              f"{counts['elsewhere']:9} {counts['n/a']:4}")


def print_markdown(statements, words, files, caught_file):
    caught = json.loads(Path(caught_file).read_text())["results"] if caught_file else {}
    print(PREFACE)
    runs = [json.loads(Path(file).read_text()) for file in files]
    names = [run["version"].replace(" version", "") for run in runs]
    print_totals(statements, words, runs, names)
    with_wrong = sum(bool(s.wrong) for s in statements)
    seen = sum(entry["result"] == "pass" for entry in caught.values())
    print(f"\n{with_wrong} of the {sum(not s.platform for s in statements)} statements on Linux have a wrong runtime; "
          f"{seen} of these were seen to be caught where this page was made.")
    for file in words:
        print(f"\n## {file}\n")
        print(f"| | section | what is demanded | {' | '.join(names)} | shown to fail on a runtime that |")
        print("|---|---|---|" + "---|" * (len(names) + 1))
        for s in (s for s in statements if s.file == file):
            cells = " | ".join(SHOWN[run["results"].get(s.name, {}).get("result")] for run in runs)
            demanded = f"{s.text} ({s.words} words: {s.joins})" if s.joins else s.text
            seen = " (seen)" if caught.get(s.name, {}).get("result") == "pass" else ""
            broken = f"{s.wrong.what}{seen}" if s.wrong else s.platform or ""
            print(f"| {s.name} | {s.section} | {escaped(demanded)} | {cells} | {escaped(broken)} |")
    print_reasons(statements, runs, names)


def print_totals(statements, words, runs, names):
    print(f"| file | statements | MUST | with a wrong runtime | {' | '.join(names)} |")
    print("|---|---|---|---|" + "---|" * len(names))
    for file in words:
        held = [s for s in statements if s.file == file]
        cells = []
        for run in runs:
            counts = Counter(run["results"].get(s.name, {}).get("result") for s in held)
            cells.append(f"{counts['pass']} green, {counts['FAIL']} red, {counts['elsewhere']} not here, {counts['n/a']} n/a")
        print(f"| {file} | {len(held)} | {words[file]} | {sum(bool(s.wrong) for s in held)} | {' | '.join(cells)} |")


def print_reasons(statements, runs, names):
    for run, name in zip(runs, names):
        print(f"\n## Red on {name}\n")
        kind = name.split()[0]
        for s in statements:
            found = run["results"].get(s.name, {})
            if found.get("result") == "FAIL":
                why = REDS.get(kind, {}).get(s.name)
                print(f"- {s.name} ({s.section}): {escaped(found['reason'])}" + (f" - {why}" if why else ""))
    print("\n## Not shown where this page was made\n")
    for s in statements:
        reasons = dict.fromkeys(
            run["results"][s.name]["reason"] for run in runs if run["results"].get(s.name, {}).get("result") == "elsewhere"
        )
        if reasons:
            print(f"- {s.name} ({s.section}): {'; '.join(map(escaped, reasons))}")


def escaped(text):
    return text.replace("|", "\\|").replace("<", "&lt;")
