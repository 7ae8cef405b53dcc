#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""BM25 as Lucene computes it, written from the formulas: a third opinion, and the arithmetic to copy.

    bm25.py CORPUS-plain.jsonl QUERIES.tsv [--field text] [--k 100] > run.tsv

Reads a --plain corpus (words split at blanks) and queries, which are lower-cased and cut to [a-z0-9]+ words. Scores are
equal to Lucene's to the last bit: every step below is rounded to a 32-bit float where Lucene does, nowhere else.
"""

import argparse
import collections
import json
import math
import re
import struct

K1_VALUE, B_VALUE = 1.2, 0.75


def f32(x):
    """Rounds to the nearest float. One operation on two floats done in double and rounded once is the float result."""
    return struct.unpack("f", struct.pack("f", x))[0]


K1, B = f32(K1_VALUE), f32(B_VALUE)


def length_to_byte(length):
    """Lengths below 24 as they are; above, 24 plus a float of 3 mantissa bits, rounded down. Exact up to 39."""
    if length < 24:
        return length
    rest = length - 24
    bits = rest.bit_length()
    if bits < 4:
        return 24 + rest
    return 24 + (((bits - 3) << 3) | ((rest >> (bits - 4)) & 7))


def byte_to_length(byte):
    if byte < 24:
        return byte
    exponent, mantissa = (byte - 24) >> 3, (byte - 24) & 7
    return 24 + (mantissa if exponent == 0 else (mantissa | 8) << (exponent - 1))


class Scorer:
    def __init__(self, ids, docs):
        self.ids = ids
        self.doc_count = sum(1 for words in docs if words)  # documents with at least one token in the field
        average = f32(sum(map(len, docs)) / self.doc_count)
        # 1 / (k1 * ((1 - b) + b * length / average)), for each length byte
        self.inverse = [
            f32(1 / f32(K1 * f32(f32(1 - B) + f32(f32(B * byte_to_length(i)) / average)))) for i in range(256)
        ]
        self.norms = [length_to_byte(len(words)) for words in docs]
        self.postings = collections.defaultdict(list)
        for doc, words in enumerate(docs):
            for word, freq in collections.Counter(words).items():
                self.postings[word].append((doc, freq))

    def top(self, words, k):
        sums = collections.defaultdict(float)  # clauses are added in double, the sum is rounded once
        for word, times in collections.Counter(words).items():  # a word said twice is one clause with boost 2
            postings = self.postings.get(word, [])
            if not postings:
                continue
            df = len(postings)
            idf = f32(math.log(1 + (self.doc_count - df + 0.5) / (df + 0.5)))  # in double, rounded once
            weight = f32(times * idf)
            for doc, freq in postings:
                sums[doc] += f32(weight - f32(weight / f32(1 + f32(freq * self.inverse[self.norms[doc]]))))
        best = sorted((-f32(score), doc) for doc, score in sums.items())[:k]
        return [(self.ids[doc], -score) for score, doc in best]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("queries")
    parser.add_argument("--field", default="text")
    parser.add_argument("--k", type=int, default=100)
    args = parser.parse_args()
    rows = [json.loads(line) for line in open(args.corpus, encoding="utf-8")]
    scorer = Scorer([row["_id"] for row in rows], [row[args.field].split() for row in rows])
    for line in open(args.queries, encoding="utf-8"):
        query, _, text = line.partition("\t")
        for rank, (doc, score) in enumerate(scorer.top(re.findall("[a-z0-9]+", text.lower()), args.k), 1):
            print(f"{query}\t{doc}\t{rank}\t{score:.9g}")


if __name__ == "__main__":
    main()
