#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/nn/tiny-{modules,splade,splade-roberta,splade-modernbert,colbert,expand,
artifact,pylate}: what sentence-transformers does with the rows of an encoder, as it saves it, and
what it computes.

    pip install torch transformers sentence-transformers
    python3 tests/oracle/nn_make_tails.py tests/golden/nn [NAME]...

tiny-modules: six poolings in a row, Dense, LayerNorm, Dense, Normalize; prompts that
pooling leaves out. tiny-splade: the masked-language head, maximum over tokens.
tiny-colbert: a vector a token, [Q] and [D] in front, punctuation of documents left out;
tiny-expand: the same with queries filled up by [MASK]s that other tokens do not see.
tiny-splade-roberta has a decoder of its own, with two biases of which one counts;
tiny-splade-modernbert local layers. tiny-artifact: a folder of ColBERT's first authors;
tiny-pylate: one of PyLate's, on ModernBERT, with [MASK]s that see no token of the text.
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
from safetensors.torch import load_file, save_file
from transformers import (BertConfig, BertForMaskedLM, BertModel, ModernBertConfig,
                          ModernBertForMaskedLM, ModernBertModel, PreTrainedTokenizerFast,
                          RobertaConfig, RobertaForMaskedLM)

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


SMALL = dict(hidden_size=16, num_attention_heads=2, intermediate_size=24,
             max_position_embeddings=48)


def saved(folder, model, seed, added=()):
    """The model, and a tokenizer with more tokens."""
    widen(model, seed).save_pretrained(folder)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer(), pad_token="[PAD]",
                                   unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
                                   mask_token="[MASK]", model_max_length=48)
    fast.add_tokens(list(added))
    fast.save_pretrained(folder)


def roberta():
    return RobertaForMaskedLM(RobertaConfig(
        vocab_size=len(VOCAB), num_hidden_layers=1, type_vocab_size=1, pad_token_id=0,
        bos_token_id=2, eos_token_id=3, tie_word_embeddings=False,
        **SMALL | dict(max_position_embeddings=50)))


def modernbert(cls, more=0):
    return cls(ModernBertConfig(
        vocab_size=len(VOCAB) + more, num_hidden_layers=2, local_attention=8, pad_token_id=0,
        cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3, norm_bias=True, **SMALL))


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


def make_splade(out, tmp, name, make):
    make(tmp / name)
    m = SparseEncoder(modules=[Transformer(str(tmp / name), transformer_task="fill-mask"),
                               SpladePooling("max")], device="cpu").eval()
    m.save(str(tmp / f"{name}-saved"))
    m = SparseEncoder(str(tmp / f"{name}-saved"), device="cpu")
    keep(tmp / f"{name}-saved", out / name)
    cases = [{"text": t, "vector": values(m.encode([t], convert_to_sparse_tensor=False)[0])}
             for t in TEXTS]
    (out / f"{name}.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


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
    keep(tmp / name, out / name)
    write_colbert(out, name)


def make_artifact(out, tmp):
    """Names of markers are pieces of the vocabulary; the projection lies with the encoder."""
    folder, marks = tmp / "artifact", ("[unused3]", "[unused4]")
    saved(folder, BertModel(BertConfig(vocab_size=len(VOCAB) + 2, num_hidden_layers=1, **SMALL)),
          14, marks)
    t = json.loads((folder / "tokenizer.json").read_text())
    for a in t["added_tokens"][5:]:
        t["model"]["vocab"][a["content"]] = a["id"]
    t["added_tokens"] = t["added_tokens"][:5]
    (folder / "tokenizer.json").write_text(json.dumps(t, separators=(",", ":")))
    weights = {"bert." + k: v for k, v in load_file(folder / "model.safetensors").items()}
    weights["linear.weight"] = torch.randn(8, 16, generator=torch.Generator().manual_seed(31))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["HF_ColBERT"]
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    (folder / "artifact.metadata").write_text(json.dumps(
        {"query_maxlen": 20, "doc_maxlen": 30, "attend_to_mask_tokens": False,
         "mask_punctuation": True, "query_token_id": marks[0], "doc_token_id": marks[1]}))
    keep(folder, out / "tiny-artifact")
    write_colbert(out, "tiny-artifact")


def make_pylate(out, tmp):
    saved(tmp / "p", modernbert(ModernBertModel, 2), 15, ("[Q] ", "[D] "))
    dense = widen(Dense(16, 8, bias=False, activation_function=torch.nn.Identity()), 32)
    SentenceTransformer(modules=[Transformer(str(tmp / "p")), dense], device="cpu").save(
        str(tmp / "pylate"))
    keep(tmp / "pylate", out / "tiny-pylate")
    folder = out / "tiny-pylate"
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "sentence_transformers.models.Transformer"
    modules[1]["type"] = "pylate.models.Dense.Dense"
    (folder / "modules.json").write_text(json.dumps(modules, indent=1))
    path = folder / "1_Dense" / "config.json"
    config = json.loads(path.read_text())
    for key in ("module_input_name", "module_output_name"):
        config.pop(key, None)
    path.write_text(json.dumps(config, indent=1))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(
        {"model_type": "ColBERT", "query_prefix": "[Q] ", "document_prefix": "[D] ",
         "query_length": 24, "document_length": 30, "attend_to_expansion_tokens": False,
         "skiplist_words": [".", ",", "the"], "prompts": {}, "default_prompt_name": None}, indent=1))
    write_colbert(out, "tiny-pylate")


def write_colbert(out, name):
    m = MultiVectorEncoder(str(out / name), device="cpu")
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
    out, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        makers = {
            "tiny-modules": lambda n: make_modules(out, tmp),
            "tiny-splade": lambda n: make_splade(
                out, tmp, n, lambda f: backbone(f, BertForMaskedLM, 12)),
            "tiny-splade-roberta": lambda n: make_splade(
                out, tmp, n, lambda f: saved(f, roberta(), 16)),
            "tiny-splade-modernbert": lambda n: make_splade(
                out, tmp, n, lambda f: saved(f, modernbert(ModernBertForMaskedLM), 17)),
            "tiny-colbert": lambda n: make_colbert(out, tmp, n, None),
            "tiny-expand": lambda n: make_colbert(out, tmp, n, {
                "strategy": "fixed", "attend": False, "length": 16}),
            "tiny-artifact": lambda n: make_artifact(out, tmp),
            "tiny-pylate": lambda n: make_pylate(out, tmp),
        }
        for name, make in makers.items():
            if not names or name in names:
                make(name)


if __name__ == "__main__":
    main()
