#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares two run files (query TAB document TAB rank TAB score; .gz allowed): are the answers equal?

    compare.py EXPECTED ACTUAL [--digits 4] [--factor 1] [--order]

Two scores agree when they differ by less than half a unit in the wanted significant digit. A document may be missing
from one side only if its score ties, to those digits, with the last score of the other side. --factor multiplies the
scores of ACTUAL first (--factor 0 takes the median ratio, for engines whose BM25 differs by a constant). --order also
wants the order of the documents to be the same, ties included. Exit status 1 if anything disagrees.
"""

import argparse
import gzip
import statistics
import sys


def read_run(path):
    run = {}
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            query, doc, _, score = line.rstrip("\n").split("\t")
            run.setdefault(query, {})[doc] = float(score)
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("expected")
    parser.add_argument("actual")
    parser.add_argument("--digits", type=int, default=4)
    parser.add_argument("--factor", type=float, default=1.0)
    parser.add_argument("--order", action="store_true")
    parser.add_argument("--show", type=int, default=5, help="disagreements to print")
    args = parser.parse_args()

    expected, actual = read_run(args.expected), read_run(args.actual)
    factor = args.factor
    if factor == 0:
        ratios = [e / actual[q][d] for q in expected for d, e in expected[q].items() if actual.get(q, {}).get(d)]
        factor = statistics.median(ratios) if ratios else 1.0
    tolerance = 0.5 * 10.0 ** (1 - args.digits)
    worst, pairs, shown = 0.0, 0, 0
    bad = {"score": 0, "missing": 0, "order": 0}
    bad_queries = set()

    def complain(kind, query, text):
        nonlocal shown
        bad[kind] += 1
        bad_queries.add(query)
        if shown < args.show:
            print(f"{kind}: query {query}: {text}")
            shown += 1

    for query in sorted(expected.keys() | actual.keys()):
        left = expected.get(query, {})
        right = {doc: score * factor for doc, score in actual.get(query, {}).items()}
        for doc in left.keys() & right.keys():
            off = abs(left[doc] - right[doc]) / max(abs(left[doc]), 1e-30)
            worst, pairs = max(worst, off), pairs + 1
            if off > tolerance:
                complain("score", query, f"document {doc}: {left[doc]:.9g} and {right[doc]:.9g}")
        for have, lack, side in ((left, right, "actual"), (right, left, "expected")):
            # A list as long as the other was cut at the same k; a shorter one has simply missed the document.
            edge = min(lack.values(), default=float("inf"))
            for doc in have.keys() - lack.keys():
                tie = len(lack) >= len(have) and abs(have[doc] - edge) <= tolerance * edge
                if not tie:
                    complain("missing", query, f"document {doc} with {have[doc]:.9g} not in {side}")
        if args.order and list(left) != list(right):
            complain("order", query, "documents in another order")
    print(
        f"queries={len(expected.keys() | actual.keys())} pairs={pairs} factor={factor:.7g} worst_relative={worst:.3g} "
        f"bad_scores={bad['score']} missing={bad['missing']} order={bad['order']} bad_queries={len(bad_queries)}"
    )
    sys.exit(1 if bad_queries else 0)


if __name__ == "__main__":
    main()
