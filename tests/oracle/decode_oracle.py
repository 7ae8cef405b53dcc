# SPDX-License-Identifier: Apache-2.0
"""Ids back to texts by Hugging Face `tokenizers`: writes tests/golden/text/decode.json, a small
tokenizer for every kind of decoder and what the library makes of lists of ids.

    pip install tokenizers==0.23.3
    python tests/oracle/decode_oracle.py
"""
import json
import pathlib
import random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden/text/decode.json"
files, cases = {}, []


def lists(tokenizer, count=6, longest=7):
    size = tokenizer.get_vocab_size()
    drawn = [[random.randrange(size) for _ in range(random.randrange(1, longest))] for _ in range(count)]
    return drawn + [[]]


def add(name, model, decoder, chosen=(), **more):
    """Chosen lists of ids and random ones, with and without special tokens."""
    tokenizer = Tokenizer(model)
    if decoder is not None:
        tokenizer.decoder = decoder
    tokenizer.add_special_tokens(["<s>", "</s>"])
    files[name] = json.loads(tokenizer.to_str())
    for ids in [*chosen, *lists(tokenizer, **more)]:
        for skip in (True, False):
            cases.append([name, ids, skip, tokenizer.decode(ids, skip_special_tokens=skip)])


random.seed(7)
words = {w: i for i, w in enumerate(["[UNK]", "do", "not", "n't", "'", "s", "##ing", "##s", "mill", "is", ".", ",", "!",
                                     "can", "'s", "it", "##n"])}
add("WordPiece", models.WordPiece(words, unk_token="[UNK]"), decoders.WordPiece(),
    [[15, 14, 8, 6, 10], [1, 2, 8], [13, 3, 8, 11, 15], [6, 8, 7], [17, 8, 18], [4, 5], [8, 4, 8]])
add("WordPiece, no cleanup", models.WordPiece(words, unk_token="[UNK]"), decoders.WordPiece(prefix="##", cleanup=False))
pieces = [("<unk>", 0.0), ("▁the", -1.), ("▁", -2.), ("mill", -2.), ("▁mill", -1.5), ("s", -3.), ("<0xE2>", -9.),
          ("<0x82>", -9.), ("<0xAC>", -9.), ("▁▁", -4.)]
add("Metaspace", models.Unigram(pieces, 0, False), decoders.Metaspace(), [[1, 4, 5], [2, 3], [9, 3, 9]])
add("Metaspace never", models.Unigram(pieces, 0, False), decoders.Metaspace(prepend_scheme="never"), [[1, 4, 5]])
add("Llama", models.Unigram(pieces, 0, True),
    decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
    [[1, 6, 7, 8, 4], [6, 7, 3], [2, 6], [4, 8, 8, 7, 6, 7, 8]], count=10)
signs = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
for more in ("Ġmill", "âĤ", "<x>"):
    signs[more] = len(signs)
add("ByteLevel", models.BPE(signs, []), decoders.ByteLevel(),
    [[signs[c] for c in row] for row in (["â", "Ĥ", "¬"], ["â", "Ĥ", "m"], ["Ġmill", "Ġ", "Ã"], ["âĤ", "¬", "<x>"],
                                         ["í", "ł", "Ģ"])], count=14, longest=9)
ends = {c: i for i, c in enumerate(["a", "b</w>", "mill</w>", "th", "e</w>"])}
add("BPEDecoder", models.BPE(ends, [], end_of_word_suffix="</w>"), decoders.BPEDecoder(), [[3, 4, 2], [2, 2]])
add("none", models.BPE(ends, []), None, [[3, 4, 2]])
OUT.write_text(json.dumps({"files": files, "cases": cases}, ensure_ascii=False) + "\n")
print(f"{len(cases)} cases")
