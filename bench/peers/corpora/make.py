#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the corpora and the query files that the peers are run on.

    make.py scifact   --data DIR --out DIR          BEIR SciFact from its folder (corpus.jsonl, queries.jsonl)
    make.py cranfield --data DIR --out DIR          Cranfield 1400, same layout
    make.py debian    --out DIR [--lists DIR]       package descriptions from apt's lists (Translation-en)
    make.py zipf      --out DIR [--docs 1000000]    synthetic, topic-clustered; needs numpy
    make.py queries   --corpus FILE --out DIR       unions, intersections, phrases and frequent words of the corpus

Each corpus becomes DIR/NAME.jsonl, one {"_id", "title", "text"} a line. --plain also writes DIR/NAME-plain.jsonl, cut
down to lower-case [a-z0-9]+ words under 40 letters with single spaces: every tokenizer sees the same tokens in it, so
that engines with different analysis can be compared on equal work and equal answers. Equal arguments, equal bytes.
"""

import argparse
import json
import math
import pathlib
import random
import re
import subprocess
import sys

WORD = re.compile(r"[a-z0-9]+")
# A blank-separated item that every tokenizer cuts to the same single word, punctuation around it aside.
CLEAN = re.compile(r"[(\"']*([A-Za-z0-9]+)[)\"',.;:!?]*")
STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with".split()
)


def plain_text(text):
    # Tantivy's default analyzer drops words of 40 bytes and more; Lucene keeps them.
    return " ".join(word for word in WORD.findall(text.lower()) if len(word) < 40)


def write_jsonl(path, rows, plain=False):
    """Writes the corpus and, if asked, its plain twin; returns the number of documents."""
    count = 0
    twin = open(path.with_name(path.stem + "-plain.jsonl"), "w", encoding="utf-8") if plain else None
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            if twin:
                plain_row = {k: v if k == "_id" else plain_text(v) for k, v in row.items()}
                twin.write(json.dumps(plain_row) + "\n")
            count += 1
    if twin:
        twin.close()
    print(f"{path.name}: {count} documents, {path.stat().st_size / 1e6:.1f} MB")


# --- test collections -------------------------------------------------------------------------------------------------


def make_collection(args):
    data, out = pathlib.Path(args.data), pathlib.Path(args.out)
    rows = (json.loads(line) for line in open(data / "corpus.jsonl", encoding="utf-8"))
    keep = ({"_id": r["_id"], "title": r.get("title", ""), "text": r.get("text", "")} for r in rows)
    write_jsonl(out / f"{args.command}.jsonl", keep, args.plain)
    with open(out / f"{args.command}.real.tsv", "w", encoding="utf-8") as real:
        for line in open(data / "queries.jsonl", encoding="utf-8"):
            query = json.loads(line)
            real.write(query["_id"] + "\t" + " ".join(query["text"].split()) + "\n")


# --- Debian -----------------------------------------------------------------------------------------------------------


def apt_setting(name):
    shell = subprocess.run(["apt-config", "shell", "V", name], capture_output=True, text=True, check=True).stdout
    return pathlib.Path(shell.split("'")[1])


def stanzas(path):
    """The stanzas of a Debian control file as dicts; apt's helper undoes whatever compression apt chose."""
    helper = apt_setting("Dir::Bin::Methods/f").parent / "apt-helper"
    text = subprocess.run([helper, "cat-file", path], capture_output=True, check=True).stdout.decode("utf-8")
    for block in text.split("\n\n"):
        stanza, name = {}, None
        for line in block.splitlines():
            if line[:1] in (" ", "\t"):
                stanza[name] += "\n" + line[1:]
            else:
                name, _, value = line.partition(":")
                stanza[name] = value.strip()
        if stanza:
            yield stanza


def debian_rows(lists):
    """One document a package name. Of several descriptions the one from the first file (in name order) is kept."""
    files = sorted(lists.glob("*_i18n_Translation-en*"))
    if not files:
        sys.exit(
            f"no Translation-en among the lists in {lists}; fetch them into a folder of your own:\n"
            "  mkdir -p LISTS/partial && apt-get update -o Acquire::Languages=en -o Dir::State::lists=LISTS"
        )
    seen = {}
    for path in files:
        for stanza in stanzas(path):
            seen.setdefault(stanza["Package"], stanza.get("Description-en", ""))
    for name in sorted(seen):
        paragraphs = re.sub(r"\n\.(?=\n|$)", "\n", seen[name])
        yield {"_id": name, "title": name, "text": paragraphs.strip()}


def make_debian(args):
    lists = pathlib.Path(args.lists) if args.lists else apt_setting("Dir::State::lists/d")
    write_jsonl(pathlib.Path(args.out) / "debian.jsonl", debian_rows(lists), args.plain)


# --- Zipf -------------------------------------------------------------------------------------------------------------

VOCABULARY = 500_000
TOPICS, TOPIC_WORDS, TOPIC_SLOTS, TOPIC_PHRASES = 1_000, 600, 4_096, 20
CHUNK = 10_000  # documents made at a time; each chunk has its own seed, so a small corpus is a prefix of a large one


def spell(rank):
    """The word of a frequency rank: syllables, four letters for the 4,900 most frequent, then six, then eight."""
    consonants, vowels = "bdfgklmnprstvz", "aeiou"
    base, length, size = len(consonants) * len(vowels), 2, 4_900
    while rank >= size:
        rank, length, size = rank - size, length + 1, size * base
    number = rank * 1_000_003 % size  # scatters neighbours in rank over the alphabet; coprime to 70
    word = ""
    for _ in range(length):
        number, digit = divmod(number, base)
        word += consonants[digit // len(vowels)] + vowels[digit % len(vowels)]
    return word


def alias_table(np, p):
    """Walker's alias method: a draw is one index, one coin, whatever the distribution."""
    scaled = p * len(p)
    alias, keep = np.arange(len(p)), np.ones(len(p))
    small, large = list(np.flatnonzero(scaled < 1)), list(np.flatnonzero(scaled >= 1))
    while small and large:
        s, l = small.pop(), large[-1]
        keep[s], alias[s] = scaled[s], l
        scaled[l] -= 1 - scaled[s]
        if scaled[l] < 1:
            small.append(large.pop())
    return alias.astype(np.int32), keep


class ZipfWorld:
    """Everything that all chunks share: words, their frequencies, topics, set phrases."""

    def __init__(self, np, seed):
        self.np, self.seed = np, seed
        rng = np.random.Generator(np.random.PCG64(seed))
        self.words = np.array([spell(r) for r in range(VOCABULARY)], dtype=object)
        weight = 1 / (np.arange(VOCABULARY) + 2.7) ** 1.07  # Zipf-Mandelbrot
        self.alias, self.keep = alias_table(np, weight / weight.sum())

        # A topic: 600 words of any rarity (log-uniform in rank), Zipf among themselves, as a table to index at random.
        low, high = math.log(100), math.log(VOCABULARY)
        members = np.exp(rng.uniform(low, high, (TOPICS, TOPIC_WORDS))).astype(np.int32)
        inner = 1 / (np.arange(TOPIC_WORDS) + 5.0)
        slots = np.searchsorted(np.cumsum(inner) / inner.sum(), (np.arange(TOPIC_SLOTS) + 0.5) / TOPIC_SLOTS)
        self.topic_table = members[:, slots]
        popularity = 1 / (np.arange(TOPICS) + 10.0) ** 0.8
        self.popularity = np.cumsum(popularity) / popularity.sum()

        # Set phrases of two to four topic words; -1 pads.
        pick = rng.integers(0, TOPIC_SLOTS, (TOPICS, TOPIC_PHRASES, 4))
        self.phrases = self.topic_table[np.arange(TOPICS)[:, None, None], pick]
        length = rng.integers(2, 5, (TOPICS, TOPIC_PHRASES))
        self.phrases[np.arange(4)[None, None, :] >= length[:, :, None]] = -1

    def global_words(self, rng, n):
        slot = rng.integers(0, VOCABULARY, n, dtype=self.np.int32)
        return self.np.where(rng.random(n) < self.keep[slot], slot, self.alias[slot])

    def chunk(self, number, count):
        """Token ids of one chunk, and for each document: first token, first token of the text, end."""
        np = self.np
        rng = np.random.Generator(np.random.PCG64([self.seed, number]))
        # Topics come in runs, as pages of one site do in a crawl: that is what makes block maxima differ.
        change = rng.random(CHUNK) < 1 / 20
        change[0] = True
        drawn = np.searchsorted(self.popularity, rng.random(CHUNK))
        main = drawn[np.maximum.accumulate(np.where(change, np.arange(CHUNK), 0))]
        second = np.searchsorted(self.popularity, rng.random(CHUNK))
        title = rng.integers(3, 10, CHUNK)
        text = np.clip(np.exp(rng.normal(math.log(100) - 0.18, 0.6, CHUNK)), 8, 2_000).astype(np.int64)  # mean ~100
        main, second, title, text = main[:count], second[:count], title[:count], text[:count]

        end = np.cumsum(title + text)
        start = end - title - text
        doc = np.repeat(np.arange(count), title + text)
        place = np.arange(end[-1]) - start[doc]
        n = len(doc)

        tokens = self.global_words(rng, n)
        topical = rng.random(n) < np.where(place < title[doc], 0.7, 0.4)
        topic = np.where(rng.random(n) < 0.7, main[doc], second[doc])
        tokens = np.where(topical, self.topic_table[topic, rng.integers(0, TOPIC_SLOTS, n)], tokens)
        # Words repeat within a document more than chance has it.
        again = (rng.random(n) < 0.1) & (place > 0)
        earlier = start[doc] + (rng.random(n) * place).astype(np.int64)
        tokens[again] = tokens[earlier[again]]
        # Set phrases of the topic, where they fit into the document.
        at = np.flatnonzero(rng.random(n) < 0.02)
        phrase = self.phrases[topic[at], (rng.random(len(at)) ** 2 * TOPIC_PHRASES).astype(np.int64)]
        for j in range(4):
            inside = (phrase[:, j] >= 0) & (at + j < end[doc[at]])
            tokens[at[inside] + j] = phrase[inside, j]
        return tokens, start, start + title, end


def make_zipf(args):
    import numpy as np

    world = ZipfWorld(np, args.seed)
    path = pathlib.Path(args.out) / f"{args.name}.jsonl"
    with open(path, "w", encoding="ascii") as out:
        for first in range(0, args.docs, CHUNK):
            tokens, start, body, end = world.chunk(first // CHUNK, min(CHUNK, args.docs - first))
            words = world.words[tokens].tolist()
            lines = []
            for i, (a, b, c) in enumerate(zip(start.tolist(), body.tolist(), end.tolist()), first):
                title, text = " ".join(words[a:b]), " ".join(words[b:c])
                lines.append(f'{{"_id": "{i}", "title": "{title}", "text": "{text}"}}\n')
            out.writelines(lines)
    print(f"{path.name}: {args.docs} documents, {path.stat().st_size / 1e6:.1f} MB")


# --- queries ----------------------------------------------------------------------------------------------------------

# What a query is made of: h = in over 2 % of documents, m = in 0.1-2 %, l = rarer.
UNIONS = "hh hm hl mm ml ll hhm hml hmm mml mll hhml hmml mmll hmmml hhmll".split()
INTERSECTIONS = "hh hm hl mm ml ll hhm hml hmm mml hhml hmml".split()


def clean_words(text):
    """The text as a list of words, None where an item is not one clean word."""
    return [match[1].lower() if (match := CLEAN.fullmatch(item)) else None for item in text.split()]


def read_sample(path, size, rng):
    """A reservoir sample of documents, as word lists, in file order."""
    sample = []
    for i, line in enumerate(open(path, encoding="utf-8")):
        slot = i if i < size else rng.randrange(i + 1)
        if slot < size:
            sample[slot:slot + 1] = [(i, line)]
    return [clean_words(json.loads(line)["text"]) for _, line in sorted(sample)]


class QuerySource:
    def __init__(self, docs, rng):
        self.docs, self.rng = [d for d in docs if len(d) >= 8], rng
        self.df = {}
        for doc in docs:
            for word in {w for w in doc if w}:
                self.df[word] = self.df.get(word, 0) + 1
        self.total = len(docs)

    def band(self, word):
        share = self.df[word] / self.total
        return "h" if share > 0.02 else "m" if share > 0.001 else "l"

    def mixed(self, pattern, window=60):
        """Words of the wanted rarities out of one window of one document, in text order; None if it has them not."""
        doc = self.rng.choice(self.docs)
        first = self.rng.randrange(max(1, len(doc) - window))
        bands = {"h": [], "m": [], "l": []}
        for word in dict.fromkeys(doc[first:first + window]):
            if word and word not in STOP_WORDS and len(word) > 1:
                bands[self.band(word)].append(word)
        chosen = set()
        for band in sorted(set(pattern)):  # sorted: the order of a set of strings differs from run to run
            if len(bands[band]) < pattern.count(band):
                return None
            chosen.update(self.rng.sample(bands[band], pattern.count(band)))
        return " ".join(w for w in dict.fromkeys(doc[first:first + window]) if w in chosen)

    def phrase(self, length):
        """Neighbouring words, stop words only inside; common phrases are preferred by drawing where words are common."""
        doc = self.rng.choice(self.docs)
        first = self.rng.randrange(max(1, len(doc) - length + 1))
        words = doc[first:first + length]
        if len(words) < length or None in words or words[0] in STOP_WORDS or words[-1] in STOP_WORDS:
            return None
        return " ".join(words)

    def distinct(self, count, make):
        found, tries = {}, 0
        while len(found) < count and tries < 400 * count:
            query = make(len(found), tries)
            tries += 1
            if query:
                found.setdefault(query)
        return list(found)


def repeated_phrases(docs, rng, count):
    """Phrases that occur in several documents, so that phrase queries have hits to rank."""
    seen = {}
    for doc in docs:
        grams = set()
        for n in (2, 3, 4):
            for i in range(len(doc) - n + 1):
                words = doc[i:i + n]
                if None not in words and words[0] not in STOP_WORDS and words[-1] not in STOP_WORDS:
                    grams.add(" ".join(words))
        for gram in grams:
            seen[gram] = seen.get(gram, 0) + 1
    picked = []
    for n in (2, 3, 4):
        for low, high in ((2, 3), (4, 15), (16, 10**9)):
            pool = sorted(g for g, c in seen.items() if low <= c <= high and g.count(" ") == n - 1)
            picked += rng.sample(pool, min(len(pool), count // 9 + 1))
    rng.shuffle(picked)
    return picked[:count]


def make_queries(args):
    rng = random.Random(args.seed)
    corpus, out = pathlib.Path(args.corpus), pathlib.Path(args.out)
    source = QuerySource(read_sample(corpus, args.sample, rng), rng)

    def write(kind, queries):
        with open(out / f"{corpus.stem}.{kind}.tsv", "w", encoding="utf-8") as tsv:
            tsv.writelines(f"{kind[0]}{i}\t{query}\n" for i, query in enumerate(queries, 1))
        print(f"{corpus.stem}.{kind}.tsv: {len(queries)} queries")

    def cycle(patterns):
        # Move on to the next pattern now and then even without success: small corpora lack some bands.
        return lambda found, tries: source.mixed(patterns[(found + tries // 100) % len(patterns)])

    write("union", source.distinct(args.unions, cycle(UNIONS)))
    write("intersection", source.distinct(args.intersections, cycle(INTERSECTIONS)))
    common = repeated_phrases(rng.sample(source.docs, min(len(source.docs), 20_000)), rng, args.phrases * 7 // 10)
    any_phrase = source.distinct(args.phrases, lambda found, tries: source.phrase(2 + tries % 3))
    write("phrase", list(dict.fromkeys(common + any_phrase))[:args.phrases])
    write("single", sorted(source.df, key=lambda word: (-source.df[word], word))[:args.singles])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("scifact", "cranfield"):
        command = commands.add_parser(name)
        command.add_argument("--data", required=True, help="folder with corpus.jsonl and queries.jsonl")
        command.set_defaults(run=make_collection)
    command = commands.add_parser("debian")
    command.add_argument("--lists", help="folder of apt lists; default: this machine's")
    command.set_defaults(run=make_debian)
    command = commands.add_parser("zipf")
    command.add_argument("--docs", type=int, default=1_000_000)
    command.add_argument("--name", default="zipf")
    command.add_argument("--seed", type=int, default=1)
    command.set_defaults(run=make_zipf)
    command = commands.add_parser("queries")
    command.add_argument("--corpus", required=True)
    command.add_argument("--sample", type=int, default=50_000, help="documents to draw from")
    command.add_argument("--unions", type=int, default=300)
    command.add_argument("--intersections", type=int, default=300)
    command.add_argument("--phrases", type=int, default=100)
    command.add_argument("--singles", type=int, default=50, help="the most frequent words, one a query")
    command.add_argument("--seed", type=int, default=1)
    command.set_defaults(run=make_queries)
    for name, command in commands.choices.items():
        command.add_argument("--out", required=True)
        if name in ("scifact", "cranfield", "debian"):
            command.add_argument("--plain", action="store_true")
    args = parser.parse_args()
    pathlib.Path(args.out).mkdir(parents=True, exist_ok=True)
    args.run(args)


if __name__ == "__main__":
    main()
