#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/nn: two tiny random BERT models and what the reference
implementation computes with them.

    pip install torch transformers tokenizers safetensors
    python3 tests/oracle/nn_make_tiny.py tests/golden/nn

tiny-embed: BertModel, F16 weights, tokenizer.json, mean pooling, normalised.
tiny-rerank: BertForSequenceClassification with one label, F32 weights, vocab.txt.
Weights are drawn wide (0.25, LayerNorm and biases too), so that no term of the
arithmetic is too small to be missed. Run once; the outputs are checked in.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors
from transformers import BertConfig, BertForSequenceClassification, BertModel

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = """the a of to and in is it mill stone water wheat flour grain turn wheel river
hand two upper lower lies still moves opened crushed how does grind what time library
town paper card paid days back lake winter ice thin walk error file open close read
write search rank score query""".split()
VOCAB = SPECIALS + list(LETTERS) + ["##" + c for c in LETTERS] + list(".,!?'-:;()+=") \
    + WORDS + ["##s", "##ing", "##ed", "##er", "##stone"]
VOCAB = list(dict.fromkeys(VOCAB))

TEXTS = ["", "flour", "How does a water mill grind grain?",
         "Two stones do the work: the lower one lies still, the upper one moves, and "
         "between them the grain is opened, not crushed."]
PAIRS = [("", ""), ("water mill", "The mill turns."),
         ("how does it grind", "Two stones: the lower lies still, the upper moves."),
         ("ice on the lake", "")]
# Over the 48 positions: cut by longest_first.
LONG = " ".join(WORDS)
PAIRS += [(LONG, "the mill"), ("the mill", LONG), (LONG, LONG)]


def tokenizer():
    t = Tokenizer(models.WordPiece({w: i for i, w in enumerate(VOCAB)}, unk_token="[UNK]",
                                   max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True,
                                              strip_accents=None, lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    t.decoder = decoders.WordPiece()
    t.add_special_tokens(SPECIALS)
    return t


def widen(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.25)
            if "LayerNorm.weight" in name:
                p.add_(1.0)
    return model.eval()


def config(**more):
    return BertConfig(vocab_size=len(VOCAB), hidden_size=32, num_hidden_layers=2,
                      num_attention_heads=4, intermediate_size=64, hidden_act="gelu",
                      max_position_embeddings=48, type_vocab_size=2, layer_norm_eps=1e-12,
                      **more)


def rows(t):
    return [[float(f"{v:.8g}") for v in row] for row in t.tolist()]


def write_config(folder, cfg, name, more):
    keep = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
            "intermediate_size", "hidden_act", "max_position_embeddings",
            "type_vocab_size", "layer_norm_eps"]
    out = {"architectures": [name], "model_type": "bert"}
    out.update({k: getattr(cfg, k) for k in keep})
    out.update(more)
    (folder / "config.json").write_text(json.dumps(out, indent=1) + "\n")


def make_embed(folder):
    folder.mkdir(parents=True, exist_ok=True)
    cfg, tok = config(), tokenizer()
    model = widen(BertModel(cfg), 1)
    half = {k: v.half() for k, v in model.state_dict().items() if "position_ids" not in k}
    model.load_state_dict({k: v.float() for k, v in half.items()}, strict=False)
    half["embeddings.position_ids"] = torch.arange(48).unsqueeze(0)
    save_file(half, folder / "model.safetensors")
    tok.save(str(folder / "tokenizer.json"), pretty=False)
    write_config(folder, cfg, "BertModel", {})
    (folder / "modules.json").write_text(json.dumps([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}],
        indent=1) + "\n")
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(
        {"word_embedding_dimension": 32, "pooling_mode_cls_token": False,
         "pooling_mode_mean_tokens": True}, indent=1) + "\n")
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 40}\n')
    tok.enable_truncation(40)
    cases = []
    for text in TEXTS:
        ids = tok.encode(text).ids
        with torch.no_grad():
            out = model(torch.tensor([ids]), output_hidden_states=True)
        vector = torch.nn.functional.normalize(out.last_hidden_state[0].mean(0), dim=0)
        cases.append({"text": text, "ids": ids,
                      "layers": [rows(h[0]) for h in out.hidden_states],
                      "embedding": rows(vector.unsqueeze(0))[0]})
    return cases


def make_rerank(folder):
    folder.mkdir(parents=True, exist_ok=True)
    cfg, tok = config(num_labels=1), tokenizer()
    model = widen(BertForSequenceClassification(cfg), 2)
    state = {k: v.contiguous() for k, v in model.state_dict().items() if "position_ids" not in k}
    save_file(state, folder / "model.safetensors")
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "model_max_length": 1e30}\n')
    write_config(folder, cfg, "BertForSequenceClassification",
                 {"id2label": {"0": "LABEL_0"}, "sentence_transformers":
                  {"activation_fn": "torch.nn.modules.linear.Identity"}})
    tok.enable_truncation(48, strategy="longest_first")
    cases = []
    for query, document in PAIRS:
        e = tok.encode(query, document)
        with torch.no_grad():
            out = model(torch.tensor([e.ids]), token_type_ids=torch.tensor([e.type_ids]),
                        output_hidden_states=True)
        case = {"query": query, "document": document, "ids": e.ids, "types": e.type_ids,
                "first": [rows(h[0])[0] for h in out.hidden_states],
                "logit": float(f"{out.logits[0][0].item():.9g}")}
        cases.append(case)
    return cases


def main():
    out = pathlib.Path(sys.argv[1])
    torch.manual_seed(0)
    for name, make in (("tiny-embed", make_embed), ("tiny-rerank", make_rerank)):
        cases = make(out / name)
        lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
        (out / f"{name}.json").write_text("[\n" + lines + "\n]\n")


if __name__ == "__main__":
    main()
