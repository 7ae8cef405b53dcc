#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Quern's tokenizers with `tokenizers` and `sentencepiece`, id by id.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install tokenizers sentencepiece
    /tmp/oracle/bin/python tests/oracle/tokenizer_oracle.py --dump build/dev/tests/unit/text_dump \
        [--spm spm.model] [--text FILE]... [--hostile 100000] [--only NAME]
    /tmp/oracle/bin/python tests/oracle/tokenizer_oracle.py --text FILE --write-golden FOLDER

Small tokenizers of every supported form are trained here on the texts. For each of them, and
for the given spm.model, every line of the texts and random lines of characters that are known
to make trouble are encoded by both. Exit status 1 when anything differs.
"""
import argparse
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import sentencepiece
from tokenizers import (Regex, SentencePieceUnigramTokenizer, Tokenizer, models, normalizers,
                        pre_tokenizers, processors, trainers)

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ODD = [chr(c) for c in (
    1, 9, 10, 11, 13, 0x1F, 0x7F, 0x85, 0xA0, 0xAD, 0x130, 0x131, 0x17F, 0x300, 0x301, 0x307,
    0x323, 0x340, 0x34F, 0x37E, 0x3A3, 0x3C2, 0x5D0, 0x5B8, 0x60C, 0x903, 0x915, 0x94D, 0xE01,
    0xE33, 0x1100, 0x1161, 0x11A8, 0x166D, 0x180E, 0x1E9B, 0x1FEF, 0x2000, 0x200B, 0x200D,
    0x2028, 0x2029, 0x202F, 0x2126, 0x212A, 0x212B, 0x2581, 0x3000, 0x302E, 0x3042, 0x3099,
    0x30AC, 0x338F, 0x4E2D, 0xAC00, 0xD55C, 0xE000, 0xF900, 0xFB01, 0xFB2A, 0xFE0F, 0xFEFF,
    0xFF01, 0xFF21, 0xFF76, 0xFF9E, 0xFFFD, 0x10400, 0x16FF0, 0x1D15E, 0x1D400, 0x1F600,
    0x1F468, 0x1F3FD, 0x1F1E9, 0x20000, 0x2F800, 0xE0001, 0x10FFFF)]
PLAIN = list(" abcdefghijklmnopqrstuvwxyzABCXYZ0123456789 .,'-!?[]#_()\t\r\n")


def hostile(count, words, seed):
    rng = random.Random(seed)
    ends = ["'s", "'ll", "'RE", "n't", "  ", "   ", " \n", "\r\n", "[MASK]", "[SEP]", "<s>", "<mask>",
            "<0xE4>", "</s>", "<unk>", "\u2581", "e\u0301", "\uac00\u11a8", "\U0001F468\u200d\U0001F469"]
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 14)):
            roll = rng.random()
            if roll < 0.25:
                parts.append(rng.choice(ODD) * rng.choice([1, 1, 1, 2, 5]))
            elif roll < 0.55:
                parts.append(rng.choice(words))
                parts.append(rng.choice(["", " ", " ", "\u00a0"]))
            elif roll < 0.68:
                parts.append(rng.choice(ends))
            elif roll < 0.71:
                parts.append(rng.choice("a\u00e9\u4e2d1") * rng.randint(30, 130))
            elif roll < 0.80:
                c = rng.randrange(1, 0x110000)
                parts.append(chr(c) if not 0xD800 <= c < 0xE000 else " ")
            else:
                parts.append(rng.choice(PLAIN))
        yield "".join(parts)


def template(t):
    ids = [(s, t.token_to_id(s)) for s in ("[CLS]", "[SEP]")]
    t.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=ids)
    return t


RULES = {"\uff21": "A", "\ufb01": "fi", "\u338f": "kg", "e\u0301": "\u00e9", "\u3000": " ", "\u00a0": " ",
         "\t": " ", "\u200b": "", "\u2126": "\u03a9"}


def made(folder, lines, spm_path, size):
    """name -> (form, file, encode). size: pieces of the vocabularies."""
    out = {}

    def add(name, t):
        path = folder / f"{name}.json"
        t.save(str(path))
        t = Tokenizer.from_file(str(path))
        out[name] = ("tokenizer.json", path, t)

    def trained(model, trainer, norm=None, pre=None):
        t = Tokenizer(model)
        if norm is not None:
            t.normalizer = norm
        if pre is not None:
            t.pre_tokenizer = pre
        t.train_from_iterator(lines, trainer)
        return t

    n, p = normalizers, pre_tokenizers
    bpe = dict(vocab_size=size, special_tokens=SPECIALS, show_progress=False)
    add("byte-bpe", template(trained(models.BPE(), trainers.BpeTrainer(
        initial_alphabet=p.ByteLevel.alphabet(), **bpe), None, p.ByteLevel(add_prefix_space=False))))
    t = trained(models.BPE(), trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=p.ByteLevel.alphabet(), show_progress=False), None, p.ByteLevel(add_prefix_space=True))
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    add("roberta-like", t)
    add("byte-bpe-nfc", trained(models.BPE(), trainers.BpeTrainer(
        initial_alphabet=p.ByteLevel.alphabet(), **bpe), n.NFC(), p.ByteLevel(add_prefix_space=False)))
    add("bpe-suffix", trained(models.BPE(unk_token="[UNK]", end_of_word_suffix="</w>", fuse_unk=True),
        trainers.BpeTrainer(end_of_word_suffix="</w>", **bpe), n.Sequence([n.NFKC(), n.Lowercase()]),
        p.Whitespace()))
    add("bpe-prefix", trained(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##"),
        trainers.BpeTrainer(continuing_subword_prefix="##", **bpe), n.BertNormalizer(), p.BertPreTokenizer()))
    byte_pieces = [f"<0x{b:02X}>" for b in range(256)]
    t = trained(models.BPE(unk_token="[UNK]", byte_fallback=True), trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIALS, show_progress=False),
        n.Sequence([n.Prepend("\u2581"), n.Replace(" ", "\u2581")]), None)
    spec = json.loads(t.to_str())
    for b in byte_pieces:
        spec["model"]["vocab"].setdefault(b, len(spec["model"]["vocab"]))
    add("bpe-bytes", Tokenizer.from_str(json.dumps(spec)))
    add("wordpiece-cased", template(trained(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(
        **bpe), n.BertNormalizer(lowercase=False, strip_accents=False), p.BertPreTokenizer())))
    add("wordpiece-accents", template(trained(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(
        **bpe), n.Sequence([n.NFD(), n.StripAccents(), n.Lowercase()]),
        p.Sequence([p.WhitespaceSplit(), p.Punctuation(), p.Digits(True)]))))
    uni = dict(vocab_size=size, special_tokens=SPECIALS, unk_token="[UNK]", show_progress=False)
    add("unigram-metaspace", template(trained(models.Unigram(), trainers.UnigramTrainer(**uni),
        n.Sequence([n.NFKC(), n.Replace(Regex(" {2,}"), " ")]), p.Metaspace())))
    add("unigram-first", template(trained(models.Unigram(), trainers.UnigramTrainer(**uni),
        n.Sequence([n.Strip(), n.NFKD()]), p.Sequence([p.Punctuation("contiguous"),
        p.Metaspace(prepend_scheme="first", split=False)]))))
    add("unigram-split", trained(models.Unigram(), trainers.UnigramTrainer(**uni), n.Lowercase(),
        p.Sequence([p.Split(Regex(r"\d{1,3}"), "isolated"), p.Split(" ", "merged_with_previous"),
                    p.Digits(False)])))
    if spm_path:
        proto = spm_vocab(spm_path)
        charsmap = proto["charsmap"]
        t = trained(models.Unigram(), trainers.UnigramTrainer(**uni),
                    n.Sequence([n.Precompiled(charsmap), n.Replace(Regex(" {2,}"), " ")]), p.Metaspace())
        add("unigram-charsmap", template(t))
        # The form that DeBERTa-v3 has as tokenizer.json.
        t = Tokenizer(models.Unigram(proto["pieces"], proto["unk"], proto["byte_fallback"]))
        t.normalizer = n.Sequence([n.Strip(), n.Precompiled(charsmap), n.Replace(Regex(" {2,}"), " ")])
        t.pre_tokenizer = p.Sequence([p.Metaspace(prepend_scheme="always")])
        t.add_special_tokens(SPECIALS)
        add("deberta-json", template(t))
        # XLM-R's: blanks first, then words.
        t = Tokenizer(models.Unigram(proto["pieces"], proto["unk"], False))
        t.normalizer = n.Precompiled(charsmap)
        t.pre_tokenizer = p.Sequence([p.WhitespaceSplit(), p.Metaspace()])
        add("xlmr-json", t)
        out["spm"] = ("spm-deberta", pathlib.Path(spm_path), sentencepiece.SentencePieceProcessor(model_file=spm_path))
    # A tiny SentencePiece of its own, with every switch the other way.
    rules = folder / "rules.tsv"
    rules.write_text("".join(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b)
                             + "\n" for a, b in RULES.items()))
    for name, more in (("spm-rules", dict(normalization_rule_tsv=str(rules))), ("spm-tiny", {}), ("spm-odd", dict(
            add_dummy_prefix=False, remove_extra_whitespaces=False, byte_fallback=True,
            user_defined_symbols=["<tag>", "\u4e2d\u6587", "ab c"], normalization_rule_name="nmt_nfkc_cf"))):
        text = folder / "lines.txt"
        text.write_text("\n".join(lines), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=str(folder / name), vocab_size=size + 1000, model_type="unigram", character_coverage=0.99,
            pad_id=0, pad_piece="[PAD]", bos_id=1, bos_piece="[CLS]", eos_id=2, eos_piece="[SEP]", unk_id=3,
            unk_piece="[UNK]", minloglevel=2, hard_vocab_limit=False, **more)
        path = folder / f"{name}.model"
        out[name] = ("spm-deberta", path, sentencepiece.SentencePieceProcessor(model_file=str(path)))
    proto = spm_vocab(str(folder / "spm-rules.model"))
    t = Tokenizer(models.Unigram(proto["pieces"], proto["unk"], False))
    t.normalizer = n.Sequence([n.Precompiled(proto["charsmap"]), n.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = p.Sequence([p.WhitespaceSplit(), p.Metaspace()])
    add("unigram-rules", template(t))
    return out


GOLDEN = ["byte-bpe", "roberta-like", "byte-bpe-nfc", "bpe-suffix", "bpe-prefix", "bpe-bytes", "wordpiece-cased",
          "wordpiece-accents", "unigram-metaspace", "unigram-first", "unigram-split", "unigram-rules", "spm-rules"]


def escape(text):
    return "".join(c if " " <= c <= "~" and c != "\\" else f"\\u{{{ord(c):x}}}" for c in text)


def write_golden(folder, lines, words):
    """Small tokenizers, and texts with their ids."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = lines[:6] + [x for x in hostile(40, words, 5) if "\x00" not in x]
    texts.append("\u4e2d \U0002ee13's \U000137c9's 1\U0001ccf0 2")  # of Unicode 15.1 and 16
    with tempfile.TemporaryDirectory() as where:
        with open(folder / "tokenizers.tsv", "w", encoding="utf-8") as out:
            out.write("# form, file, mode, text, ids; written by tests/oracle/tokenizer_oracle.py\n")
            for name, (form, path, t) in made(pathlib.Path(where), lines, None, 400).items():
                if name not in GOLDEN:
                    continue
                kept = folder / path.name
                if form == "tokenizer.json":
                    kept.write_text(json.dumps(json.loads(path.read_text()), separators=(",", ":"),
                                               ensure_ascii=False), encoding="utf-8")
                else:
                    kept.write_bytes(path.read_bytes())
                for mode in ("plain", "specials") if form == "tokenizer.json" else ("plain",):
                    for text, ids in zip(texts, expected(t, texts, mode)):
                        out.write(f"{form}\t{path.name}\t{mode}\t{escape(text)}\t"
                                  f"{' '.join(map(str, ids))}\n")


def spm_vocab(path):
    from sentencepiece import sentencepiece_model_pb2 as pb
    m = pb.ModelProto()
    m.ParseFromString(pathlib.Path(path).read_bytes())
    return {"pieces": [(x.piece, x.score) for x in m.pieces], "unk": m.trainer_spec.unk_id,
            "byte_fallback": m.trainer_spec.byte_fallback,
            "charsmap": m.normalizer_spec.precompiled_charsmap}


def expected(t, texts, mode):
    if isinstance(t, Tokenizer):
        t.encode_special_tokens = mode == "plain"
        return [e.ids for e in t.encode_batch(texts, add_special_tokens=False)]
    return [t.encode(x) for x in texts]


def compare(name, form, path, t, texts, dump, mode):
    data = b"".join(struct.pack("<I", len(b)) + b for b in (x.encode() for x in texts))
    got = subprocess.run([dump, "tokenizer", form, str(path), mode], input=data, check=True,
                         stdout=subprocess.PIPE).stdout.decode().split("\n")
    different = 0
    for start in range(0, len(texts), 4096):
        batch = texts[start:start + 4096]
        for i, want in enumerate(expected(t, batch, mode)):
            line = got[start + i]
            ids = [int(p.split(":")[0]) for p in line.split()] if not line.startswith("!") else line
            if ids != want:
                different += 1
                if different <= 4:
                    k = next((k for k in range(min(len(ids), len(want))) if ids[k] != want[k]),
                             min(len(ids), len(want)))
                    print(f"{name} {mode}: {batch[i]!a}\n  from id {k}: want {want[k:k + 12]}\n"
                          f"  {'':9} got  {ids[k:k + 12]}")
    print(f"{name:20} {mode:8} {len(texts)} texts, {different} with other ids", flush=True)
    return different


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("--dump")
    a.add_argument("--spm")
    a.add_argument("--text", action="append", default=[])
    a.add_argument("--hostile", type=int, default=100000)
    a.add_argument("--only")
    a.add_argument("--characters", action="store_true", help="every character, too")
    a.add_argument("--write-golden", metavar="FOLDER")
    a = a.parse_args()
    lines = []
    for path in a.text:
        with open(path, encoding="utf-8", errors="replace", newline="\n") as f:
            lines += [x.rstrip("\n") for x in f]
    train = [x[:400] for x in lines[:4000]]
    words = sorted({w for x in train for w in x.split()})
    if a.write_golden:
        return write_golden(pathlib.Path(a.write_golden), train, words)
    with tempfile.TemporaryDirectory() as folder:
        different = 0
        for name, (form, path, t) in made(pathlib.Path(folder), train, a.spm, 3000).items():
            if a.only and a.only not in name:
                continue
            texts = lines + list(hostile(a.hostile, words, 1))
            if a.characters:
                texts += [f"1{chr(c)}2 x{chr(c)}y {chr(c)}" for c in range(1, 0x110000)
                          if not 0xD800 <= c < 0xE000]
            texts = [x for x in texts if "\x00" not in x]
            for mode in ("plain", "specials"):
                if mode == "specials" and form != "tokenizer.json":
                    continue
                different += compare(name, form, path, t, texts, a.dump, mode)
    sys.exit(1 if different else 0)


main()
