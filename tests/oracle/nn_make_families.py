#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a tiny random model of every encoder family in tests/golden/nn and what the
reference implementation computes with them: hidden states of every layer and logits.

    pip install torch transformers tokenizers safetensors
    python3 tests/oracle/nn_make_families.py tests/golden/nn

Weights are drawn wide (0.3, norms and biases too), so that no term of the arithmetic is
too small to be missed, and stored as F16. Run once; the outputs are checked in.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (DebertaV2Config, DebertaV2ForSequenceClassification,
                          ModernBertConfig, ModernBertForSequenceClassification,
                          ModernBertModel, XLMRobertaConfig,
                          XLMRobertaForSequenceClassification)

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = """the mill stone water wheat flour turns wheel river hand how does grind lower
upper lies still moves paper ice lake town""".split()
LONG = " ".join(WORDS[(7 * i) % len(WORDS)] for i in range(60))
PAIRS = [("", ""), ("water mill", "The mill turns"), ("how does the hand mill grind", LONG),
         (LONG, LONG)]
TEXTS = ["", "flour", "how does the mill grind", LONG]


def tokenizer(names, pair_second_sep):
    pad, unk, cls, sep, mask = names
    vocab = list(names) + list(LETTERS) + ["##" + c for c in LETTERS] + WORDS
    t = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocab)}, unk_token=unk,
                                   max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pair = f"{cls} $A {sep} {sep} $B {sep}" if pair_second_sep else \
        f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1"
    t.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}", pair=pair,
        special_tokens=[(cls, vocab.index(cls)), (sep, vocab.index(sep))])
    t.add_special_tokens(list(names))
    return t, len(vocab)


BERT_NAMES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA_NAMES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
SMALL = dict(hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
             intermediate_size=24, hidden_act="gelu")


def deberta_v3(vocab):
    return DebertaV2ForSequenceClassification, DebertaV2Config(
        vocab_size=vocab, **SMALL, max_position_embeddings=48, type_vocab_size=0,
        layer_norm_eps=1e-7, relative_attention=True, position_buckets=8,
        norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type="p2c|c2p",
        position_biased_input=False, num_labels=1)


def deberta_v2(vocab):
    return DebertaV2ForSequenceClassification, DebertaV2Config(
        vocab_size=vocab, **(SMALL | dict(hidden_act="gelu_new")),
        max_position_embeddings=48, type_vocab_size=2, embedding_size=12,
        layer_norm_eps=1e-7, relative_attention=True, max_relative_positions=10,
        share_att_key=False, pos_att_type=["c2p", "p2c"], position_biased_input=True,
        conv_kernel_size=3, conv_groups=2, conv_act="gelu", num_labels=3)


def xlm_roberta(vocab):
    return XLMRobertaForSequenceClassification, XLMRobertaConfig(
        vocab_size=vocab, **SMALL, max_position_embeddings=50, type_vocab_size=1,
        layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2, num_labels=1)


def modernbert(vocab):
    small = {k: v for k, v in SMALL.items() if k != "hidden_act"} | dict(num_hidden_layers=4)
    return ModernBertForSequenceClassification, ModernBertConfig(
        vocab_size=vocab, **small, max_position_embeddings=48, local_attention=8,
        pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3,
        classifier_pooling="mean", num_labels=1, attn_implementation="eager")


def modernbert_embed(vocab):
    cls, cfg = modernbert(vocab)
    for key in ("norm_bias", "attention_bias", "mlp_bias"):
        setattr(cfg, key, True)
    return ModernBertModel, cfg


def widen(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.3)
            if "norm" in name.lower() and name.endswith("weight"):
                p.add_(1.0)
            p.copy_(p.half().float())
    return model.eval()


def numbers(t):
    return [float(f"{v:.7g}") for v in t.flatten().tolist()]


def hidden_states(model, ids, types):
    """Rows after the embeddings and after each layer; of the last after the last norm."""
    base = getattr(model, model.base_model_prefix, model)
    states, hooks = [], []
    layers = base.layers if hasattr(base, "layers") else None
    if layers is None:
        out = base(torch.tensor([ids]), token_type_ids=types, output_hidden_states=True)
        return [h[0] for h in out.hidden_states]
    hooks.append(base.embeddings.register_forward_hook(lambda m, i, o: states.append(o[0])))
    for layer in layers:
        hooks.append(layer.register_forward_hook(
            lambda m, i, o: states.append((o[0] if isinstance(o, tuple) else o)[0])))
    last = base(torch.tensor([ids])).last_hidden_state[0]
    for h in hooks:
        h.remove()
    return states[:-1] + [last]


def make(out, name, build, names, second_sep, seed):
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    tok, vocab = tokenizer(names, second_sep)
    cls, cfg = build(vocab)
    model = widen(cls(cfg), seed)
    typed = getattr(cfg, "type_vocab_size", 0) > 1
    model.save_pretrained(folder)
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()
               if "position_ids" not in k}, folder / "model.safetensors")
    tok.save(str(folder / "tokenizer.json"), pretty=False)
    pairs = "Classification" in cls.__name__
    limit = 48
    tok.enable_truncation(limit, strategy="longest_first")
    cases = []
    for item in (PAIRS if pairs else TEXTS):
        e = tok.encode(*item) if pairs else tok.encode(item)
        types = torch.tensor([e.type_ids if typed else [0] * len(e.ids)])
        with torch.no_grad():
            states = hidden_states(model, e.ids, types)
            case = {"texts": list(item) if pairs else [item], "ids": e.ids,
                    "types": types[0].tolist(), "layers": [numbers(s) for s in states]}
            if pairs:
                kwargs = {} if "ModernBert" in cls.__name__ else {"token_type_ids": types}
                case["logits"] = numbers(model(torch.tensor([e.ids]), **kwargs).logits[0])
        cases.append(case)
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    (out / f"{name}.json").write_text("[\n" + lines + "\n]\n")


def main():
    out = pathlib.Path(sys.argv[1])
    torch.manual_seed(0)
    make(out, "tiny-deberta-v3", deberta_v3, BERT_NAMES, False, 11)
    make(out, "tiny-deberta-v2", deberta_v2, BERT_NAMES, False, 12)
    make(out, "tiny-xlm-roberta", xlm_roberta, ROBERTA_NAMES, True, 13)
    make(out, "tiny-modernbert", modernbert, BERT_NAMES, False, 14)
    make(out, "tiny-modernbert-embed", modernbert_embed, BERT_NAMES, False, 15)


main()
