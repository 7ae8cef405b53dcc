#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench expr: formulas by Quern, a tree walker and LLVM -O2 (bench_expr), then by Lucene's
expressions over the same columns. One JSON line per formula and size, then totals."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
program = root / "build/release/bench/bench_expr"
module = root / "build/release/libquern_llvm.so"
data = pathlib.Path(os.environ.get("QUERN_BENCH_DATA", root / "build/bench-data")) / "expr"


def lines_of(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **more)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main():
    data.mkdir(parents=True, exist_ok=True)
    env = dict(os.environ)
    if module.exists():
        env.setdefault("QUERN_LLVM", str(module))
    rows = {(r["formula"], r["docs"]): r for r in lines_of([program, data], env=env)}
    if shutil.which("java") and shutil.which("mvn"):
        for r in lines_of([root / "bench/peers/lucene/lucene-peer", "expr", "--data", data]):
            row, lucene = rows[r["formula"], r["docs"]], r["lucene"]
            row["mdocs_s"]["lucene"] = lucene["mdocs_s"]
            row["lucene_compile_us"] = lucene["compile_us"]
            row["total_us"]["lucene"] = lucene["total_us"]
    else:
        print("no JDK or no Maven: Lucene is left out", file=sys.stderr)
    shutil.rmtree(data)
    wins = 0
    for row in rows.values():
        best = min(row["total_us"], key=row["total_us"].get)
        row["best_total"] = best
        wins += best.startswith("quern")
        print(json.dumps(row))
    print(json.dumps({"best_total_is_quern": wins, "of": len(rows)}))


main()
