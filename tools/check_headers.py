#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone: whoever includes it needs to include nothing before it."""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
# Compiled with flags of their own, as their kernels are.
ISA = {"avx512": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mfma"],
       "avx2": ["-mavx2", "-mfma"]}
FLAGS = ["-std=c17", "-D_POSIX_C_SOURCE=200809L", '-DQN_SOURCE_DIR=""', '-DQN_BUILD_DIR=""', "-fsyntax-only",
         "-Iinclude", "-Isrc", "-x", "c"]


def check(compiler, header):
    flags = next((f for name, f in ISA.items() if name in header), [])
    done = subprocess.run([compiler, *FLAGS, *flags, "-"], cwd=root, text=True, capture_output=True,
                          input=f'#include "{header}"\n#include "{header}"\ntypedef int qn_not_empty;\n')
    return header, done.returncode, done.stderr


def main():
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None:
        print("skipped: headers alone, no compiler is installed", file=sys.stderr)
        return 0
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "include/*.h", "src/*.h", "tests/*.h", "fuzz/*.h"],
                            cwd=root, capture_output=True, text=True, check=True).stdout.split()
    # *_body.h is a text that a source includes several times on purpose; expr/llvm needs headers
    # that are optional.
    headers = [str(root / h) for h in listed if (root / h).exists() and not h.endswith("_body.h")
               and not h.startswith("src/expr/llvm/")]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for header, code, errors in pool.map(lambda h: check(compiler, h), headers):
            if code != 0:
                first = next((line for line in errors.splitlines() if "error" in line), errors[:200])
                print(f"{os.path.relpath(header, root)}:1: does not compile alone: {first.strip()}")
                bad = 1
    return bad


sys.exit(main())
