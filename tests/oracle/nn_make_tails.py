#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/nn/tiny-{modules,splade,colbert,expand}: what sentence-transformers does with
the rows of an encoder, as it saves it, and what it computes.

    pip install torch transformers sentence-transformers
    python3 tests/oracle/nn_make_tails.py tests/golden/nn

tiny-modules: six poolings in a row, Dense, LayerNorm, Dense, Normalize; prompts that
pooling leaves out. tiny-splade: the masked-language head, maximum over tokens.
tiny-colbert: a vector a token, [Q] and [D] in front, punctuation of documents left out;
tiny-expand: the same with queries filled up by [MASK]s that other tokens do not see.
Weights are drawn wide, so that no term is too small to be missed.
"""
import json
import pathlib
import shutil
import string
import sys
import tempfile

import torch
from nn_make_tiny import LONG, TEXTS, tokenizer, VOCAB
from sentence_transformers import SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder import MultiVectorEncoder
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling
from sentence_transformers.sparse_encoder.modules import SpladePooling
from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedTokenizerFast

TEXTS = TEXTS + ["Ice, wind; and water!", LONG]
MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


def widen(model, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape, generator=g) * 0.25)
            if "norm.weight" in name.lower():
                p.add_(1.0)
    return model.eval()


def backbone(folder, cls, seed):
    cfg = BertConfig(vocab_size=len(VOCAB), hidden_size=16, num_hidden_layers=1,
                     num_attention_heads=2, intermediate_size=32, max_position_embeddings=48)
    widen(cls(cfg), seed).save_pretrained(folder)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer(), pad_token="[PAD]",
                                   unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
                                   mask_token="[MASK]", model_max_length=48)
    fast.save_pretrained(folder)


def values(t):
    return [float(f"{v:.8g}") for v in t.flatten().tolist()]


def keep(saved, folder):
    """What the importer reads of a saved model."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in sorted(pathlib.Path(saved).rglob("*")):
        if not path.is_file() or path.name == "README.md":
            continue
        target = folder / path.relative_to(saved)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def make_modules(out, tmp):
    backbone(tmp / "a", BertModel, 11)
    parts = [Transformer(str(tmp / "a"), max_seq_length=40),
             Pooling(16, pooling_mode=MODES, include_prompt=False),
             Dense(96, 24, activation_function=torch.nn.Tanh()), LayerNorm(24),
             Dense(24, 8, bias=False, activation_function=torch.nn.GELU()), Normalize()]
    for i, p in enumerate(parts[2:5]):
        widen(p, 20 + i)
    m = SentenceTransformer(modules=parts, prompts={"query": "water: ", "document": "the mill "},
                            default_prompt_name="document", device="cpu").eval()
    m.save(str(tmp / "modules"))
    m = SentenceTransformer(str(tmp / "modules"), device="cpu")
    keep(tmp / "modules", out / "tiny-modules")
    cases = [{"text": t, "default": values(m.encode([t], convert_to_tensor=True)),
              "query": values(m.encode([t], prompt_name="query", convert_to_tensor=True)),
              "plain": values(m.encode([t], prompt="", convert_to_tensor=True))}
             for t in TEXTS]
    (out / "tiny-modules.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


def make_splade(out, tmp):
    backbone(tmp / "b", BertForMaskedLM, 12)
    m = SparseEncoder(modules=[Transformer(str(tmp / "b"), transformer_task="fill-mask"),
                               SpladePooling("max")], device="cpu").eval()
    m.save(str(tmp / "splade"))
    m = SparseEncoder(str(tmp / "splade"), device="cpu")
    keep(tmp / "splade", out / "tiny-splade")
    cases = [{"text": t, "vector": values(m.encode([t], convert_to_sparse_tensor=False)[0])}
             for t in TEXTS]
    (out / "tiny-splade.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


def make_colbert(out, tmp, name, expansion):
    backbone(tmp / "c", BertModel, 13)
    dense = widen(Dense(16, 8, bias=False, activation_function=torch.nn.Identity(),
                        module_input_name="token_embeddings"), 30)
    m = MultiVectorEncoder(
        modules=[Transformer(str(tmp / "c"), document_length=40, query_length=None if expansion
                             else 16, query_expansion=expansion), dense,
                 MultiVectorMask(skiplist_words=list(string.punctuation)),
                 Normalize(module_input_name="token_embeddings")],
        prompts={"query": "[Q] ", "document": "[D] "}, device="cpu").eval()
    m.save(str(tmp / name))
    m = MultiVectorEncoder(str(tmp / name), device="cpu")
    keep(tmp / name, out / name)
    cases = []
    for t in TEXTS:
        q, d = m.encode_query([t])[0], m.encode_document([t])[0]
        cases.append({"text": t, "query": values(q), "document": values(d)})
    q = m.encode_query(["how does a mill grind"])
    d = m.encode_document(TEXTS)
    (out / f"{name}.json").write_text(json.dumps(
        {"texts": cases, "query": "how does a mill grind",
         "maxsim": values(m.similarity(q, d))}, separators=(",", ":")) + "\n")


def main():
    out = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        make_modules(out, tmp)
        make_splade(out, tmp)
        make_colbert(out, tmp, "tiny-colbert", None)
        make_colbert(out, tmp, "tiny-expand", {"strategy": "fixed", "attend": False,
                                               "length": 16})


if __name__ == "__main__":
    main()
