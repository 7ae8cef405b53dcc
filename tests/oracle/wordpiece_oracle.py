#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Quern's WordPiece with Hugging Face `tokenizers`, id by id, offset by offset.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install tokenizers
    /tmp/oracle/bin/python tests/oracle/wordpiece_oracle.py --vocab vocab.txt \
        --dump build/dev/tests/unit/text_dump [--text FILE]... [--hostile 100000]

Texts: every line of the files; every character by itself and inside a word; random
lines of characters that are known to make trouble. Both with special tokens matched
and as plain text. Exit status 1 when anything differs.
"""
import argparse
import random
import struct
import subprocess
import sys

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

# Spacing marks that canonical order moves: the reference then counts offsets by place,
# Quern by character. Ids are compared all the same.
MOVED = set(map(chr, [0x302E, 0x302F, 0x16FF0, 0x16FF1, 0x1D15E, 0x1D165, 0x1D166,
                      *range(0x1D15F, 0x1D165), *range(0x1D16D, 0x1D173),
                      *range(0x1D1BB, 0x1D1C1)]))
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def reference(vocab_path):
    vocab = {}
    with open(vocab_path, encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            vocab[line.rstrip("\n")] = number
    t = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.add_special_tokens(SPECIALS)
    return t, list(vocab)


def every_character():
    for c in range(1, 0x110000):
        if not 0xD800 <= c < 0xE000:
            yield chr(c)
            yield "wor" + chr(c) + "ds"


def hostile(count, vocab, seed):
    rng = random.Random(seed)
    odd = [chr(c) for c in (
        0, 1, 9, 10, 11, 13, 0x1F, 0x7F, 0x85, 0xA0, 0xAD, 0x130, 0x131, 0x17F, 0x300,
        0x301, 0x307, 0x323, 0x340, 0x34F, 0x37E, 0x3A3, 0x3C2, 0x5D0, 0x5B8, 0x60C,
        0x903, 0xE01, 0xE33, 0x1100, 0x1161, 0x11A8, 0x166D, 0x1734, 0x180E, 0x1885,
        0x1E9B, 0x1FEF, 0x2000, 0x200B, 0x200D, 0x2028, 0x2029, 0x202F, 0x2126, 0x212A,
        0x212B, 0x3000, 0x302A, 0x302E, 0x302F, 0x3042, 0x3099, 0x30AC, 0x4E2D, 0x9FFF,
        0xA9BD, 0xAC00, 0xD55C, 0xE000, 0xF900, 0xFB1D, 0xFB2A, 0xFE0F, 0xFEFF, 0xFF01,
        0xFF21, 0xFFFC, 0xFFFD, 0xFFFE, 0x10400, 0x111C9, 0x11938, 0x16FF0, 0x1D15E,
        0x1D165, 0x1D16D, 0x1D400, 0x1F600, 0x20000, 0x2B820, 0x2B920, 0x2F800, 0x2FA1D,
        0xE0001, 0xF0000, 0x10FFFF)]
    plain = list(" abcdefghijklmnopqrstuvwxyzABCXYZ0123456789 .,'-!?[]#_()")
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 14)):
            roll = rng.random()
            if roll < 0.30:
                parts.append(rng.choice(odd) * rng.choice([1, 1, 1, 2, 5]))
            elif roll < 0.55:
                parts.append(rng.choice(vocab).removeprefix("##"))
            elif roll < 0.62:
                parts.append(rng.choice(SPECIALS + ["[sep]", "[SEP", "SEP]", "[ SEP ]"]))
            elif roll < 0.65:
                parts.append(rng.choice("aé中") * rng.randint(98, 103))
            elif roll < 0.75:
                c = rng.randrange(0x110000)
                parts.append(chr(c) if not 0xD800 <= c < 0xE000 else " ")
            else:
                parts.append(rng.choice(plain))
        yield "".join(parts)


def compare(tokenizer, texts, dump, vocab, mode):
    tokenizer.encode_special_tokens = mode == "plain"
    data = b"".join(struct.pack("<I", len(b)) + b for b in (t.encode() for t in texts))
    got = subprocess.run([dump, "tokenizer", "wordpiece-uncased", vocab, mode], input=data, check=True,
                         stdout=subprocess.PIPE).stdout.decode().split("\n")
    different = offsets_different = 0
    for start in range(0, len(texts), 4096):
        batch = texts[start:start + 4096]
        encoded = tokenizer.encode_batch(batch, add_special_tokens=False)
        for i, (text, e) in enumerate(zip(batch, encoded)):
            line = got[start + i]
            ids = " ".join(map(str, e.ids))
            if ids != " ".join(p.split(":")[0] for p in line.split()):
                different += 1
                if different <= 10:
                    print(f"{mode}: {text!a}\n  want {ids}\n  got  {line}")
                continue
            at = [0]
            for c in text:
                at.append(at[-1] + len(c.encode()))
            want = " ".join(f"{n}:{at[a]}-{at[b]}" for n, (a, b) in zip(e.ids, e.offsets))
            if want != line and not MOVED.intersection(text):
                offsets_different += 1
                if offsets_different <= 10:
                    print(f"{mode}: offsets of {text!a}\n  want {want}\n  got  {line}")
    print(f"{mode}: {len(texts)} texts, {different} with other ids, "
          f"{offsets_different} with other offsets")
    return different + offsets_different


SENTENCES = [
    "The quick brown fox jumps over the lazy dog.", "", " ", "unaffable", "don't stop-it",
    "Café naïve Ångström résumé ÅÉÎõü", "黑色幽默周杰伦", "iPhone 8 与 iPhone X 的区别",
    "\ud55c\uad6d\uc5b4 \u65e5\u672c\u8a9e\u306e\u30c6\u30b9\u30c8", "[CLS] injected [SEP] text [MASK] [PAD] [UNK]",
    "C++ & C# vs. .NET; user@example.com https://example.com/a?b=c", "a" * 100, "a" * 101,
    "\u212aelvin \u0130stanbul \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", "x\x00y\x01z\x7fw\ufffdv\u200bu", "\u1f600\U0001f600 ok",
]


def escape(text):
    return "".join(c if " " <= c <= "~" and c != "\\" else f"\\u{{{ord(c):x}}}" for c in text)


def write_golden(folder, vocab):
    """A vocabulary cut to what the texts need, and the texts with ids and offsets. The
    longest piece of the whole vocabulary is the longest of the cut one, too."""
    tokenizer, _ = reference(vocab)
    with open(vocab, encoding="utf-8") as lines:
        pieces = [line.rstrip("\n") for line in lines]
    texts = SENTENCES + [t for t in hostile(300, pieces, 11) if not MOVED.intersection(t)]
    used = set()
    for mode in (False, True):
        tokenizer.encode_special_tokens = mode
        for t in texts:
            used.update(tokenizer.encode(t, add_special_tokens=False).tokens)
    small = SPECIALS + sorted(used - set(SPECIALS))
    with open(f"{folder}/wordpiece-vocab.txt", "w", encoding="utf-8") as out:
        out.write("\n".join(small) + "\n")
    tokenizer, _ = reference(f"{folder}/wordpiece-vocab.txt")
    with open(f"{folder}/wordpiece.txt", "w", encoding="utf-8") as out:
        out.write("# Hugging Face tokenizers: mode, text, then ID:START-END in bytes\n")
        for mode in ("specials", "plain"):
            tokenizer.encode_special_tokens = mode == "plain"
            for t in texts:
                e, at = tokenizer.encode(t, add_special_tokens=False), [0]
                for c in t:
                    at.append(at[-1] + len(c.encode()))
                want = " ".join(f"{n}:{at[a]}-{at[b]}" for n, (a, b) in zip(e.ids, e.offsets))
                out.write(f"{mode}\t{escape(t)}\t{want}\n")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--vocab", required=True)
    p.add_argument("--dump")
    p.add_argument("--write-golden", metavar="FOLDER")
    p.add_argument("--text", action="append", default=[])
    p.add_argument("--hostile", type=int, default=100000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--characters", action="store_true", help="every character, too")
    a = p.parse_args()
    if a.write_golden:
        return write_golden(a.write_golden, a.vocab)
    if not a.dump:
        p.error("--dump is needed")
    tokenizer, vocab = reference(a.vocab)
    texts = list(hostile(a.hostile, vocab, a.seed))
    if a.characters:
        texts += every_character()
    for path in a.text:
        with open(path, encoding="utf-8", errors="replace", newline="\n") as lines:
            texts += [line.rstrip("\n") for line in lines]
    different = sum(compare(tokenizer, texts, a.dump, a.vocab, mode)
                    for mode in ("specials", "plain"))
    sys.exit(1 if different else 0)


main()
