#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a file under src/ includes a module that src/LAYERS does not allow it."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
PUBLIC = {"quern/quern.h": "quern.h", "quern/quern_status.h": "base", "quern/quern_status.def": "base"}


def read_layers():
    allowed, order = {}, []
    for number, line in enumerate((root / "src/LAYERS").read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        module, uses = words[0], words[1:]
        for used in uses:
            if used != "quern.h" and used not in order:
                sys.exit(f"src/LAYERS:{number}: {module} uses {used}, which is not above it")
        order.append(module)
        allowed[module] = set(uses) | {module}
    return allowed


def main():
    allowed, bad = read_layers(), 0
    for path in sorted((root / "src").rglob("*.[chp]*")):
        if path.suffix not in {".c", ".h", ".cpp"}:
            continue
        module = path.relative_to(root / "src").parts[0]
        if module not in allowed:
            print(f"{path.relative_to(root)}: {module} is not in src/LAYERS")
            bad += 1
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            header = match.group(1)
            target = PUBLIC.get(header) or header.split("/")[0]
            if "/" not in header or target in allowed[module]:
                if header.endswith("_internal.h") and header.split("/")[0] != module:
                    print(f"{path.relative_to(root)}:{number}: {header} is private to its module")
                    bad += 1
                continue
            if (root / "src" / header).exists() or target == "quern.h":
                print(f"{path.relative_to(root)}:{number}: {module} may not include {header} (src/LAYERS)")
                bad += 1
    if bad:
        sys.exit(1)


main()
