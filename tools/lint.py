#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""House rules a compiler does not know: banned calls, unique file names, licence lines,
file and function length, a README per folder. Prints file:line and the way out."""
import collections
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
BANNED = {
    r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atof|atol)\s*\(": "use base/slice.h",
    r"(?<![\w.>])(malloc|calloc|realloc|free)\s*\(": "use base/alloc.h",
    r"\bsetlocale\s*\(": "the locale is never set",
    r"\b(setjmp|longjmp)\s*\(": "return a qn_status",
}
LINES_MAX, FUNCTION_MAX = 1500, 120
problems = []


def tracked(pattern):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", pattern], cwd=root,
                         capture_output=True, text=True, check=True).stdout
    return [root / line for line in out.splitlines() if (root / line).exists()]


def report(path, line, text):
    problems.append(f"{path.relative_to(root)}:{line}: {text}")


def check_source(path):
    text = path.read_text()
    lines = text.splitlines()
    if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(lines[:3]):
        report(path, 1, "first line: /* SPDX-License-Identifier: Apache-2.0 */")
    if len(lines) > LINES_MAX:
        report(path, LINES_MAX, f"{len(lines)} lines, at most {LINES_MAX}: split the file")
    code = re.sub(r'"(\\.|[^"\\\n])*"', '""', re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S))
    code = re.sub(r"//[^\n]*", "", code)
    outside_base = path.relative_to(root).parts[:2] == ("src",) + path.relative_to(root).parts[1:2] and path.relative_to(root).parts[1] != "base"
    for number, line in enumerate(code.splitlines(), 1):
        for pattern, way in BANNED.items():
            if "malloc" in pattern and not outside_base:
                continue
            if re.search(pattern, line):
                report(path, number, f"banned call: {line.strip()[:60]} ({way})")
        if re.search(r"\b(TODO|FIXME|XXX)\b", lines[number - 1]) and not re.search(r"TODO\(#\d+\)", lines[number - 1]):
            report(path, number, "TODO without a number: finish it, or TODO(#n)")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            if number - start > FUNCTION_MAX and "LONG:" not in "\n".join(lines[max(0, start - 12):start + 3]):
                report(path, start, f"function of {number - start} lines, at most {FUNCTION_MAX} (or a LONG: comment saying why)")
            start = None


def main():
    sources = [p for p in tracked("*.c") + tracked("*.h") + tracked("*.cpp")]
    for path in sources:
        check_source(path)
    for path in tracked("*.py"):
        try:
            compile(path.read_text(), str(path), "exec")
        except SyntaxError as wrong:
            report(path, wrong.lineno or 1, f"no Python: {wrong.msg}")
    names = collections.defaultdict(list)
    for path in sources:
        names[path.name].append(path)
    for name, paths in names.items():
        if len(paths) > 1:
            report(paths[1], 1, f"file name {name} exists already: {paths[0].relative_to(root)}")
    folders = {p.parent for p in tracked("*") if p.parent != root}
    for folder in sorted(folders):
        parts = folder.relative_to(root).parts
        if parts[0].startswith(".") or "golden" in parts or "corpus" in parts or parts[0] == "docs" and len(parts) > 2:
            continue
        if parts[:2] == ("bench", "peers") and len(parts) > 2:  # one page describes them all
            continue
        if parts == ("include",) or parts == ("include", "quern") or parts == ("cmake",):
            continue
        if not (folder / "README.md").exists():
            report(folder / "README.md", 1, "every folder has a README")
    for line in sorted(problems):
        print(line)
    sys.exit(1 if problems else 0)


main()
