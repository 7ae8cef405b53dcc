#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every relative link and every `path/like.this` in a Markdown file names something that
exists."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
bad = []
files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=root,
                       capture_output=True, text=True, check=True).stdout.splitlines()
for name in files:
    path = root / name
    if not path.exists():
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        targets = [t for t in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line) if "://" not in t and not t.startswith("mailto:")]
        for target in targets:
            if not (path.parent / target).exists():
                bad.append(f"{name}:{number}: link to {target}, which is not there")
        for target in re.findall(r"`((?:src|docs|tests|tools|include|cmake|examples|models|fuzz|bench|console)/[\w./-]+\.\w+)`", line):
            if not (root / target).exists():
                bad.append(f"{name}:{number}: {target} is not there")
for line in bad:
    print(line)
sys.exit(1 if bad else 0)
