#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Forward parity: random models in real shapes, imported, against the reference framework.

    pip install torch transformers tokenizers safetensors
    python3 tests/oracle/nn_parity.py BUILD_DIR [--only PART,...] [--dtype f32] [--kernels SET]
        [--work DIR] [--torch64]

BUILD_DIR holds `quern` and `tests/unit/nn_dump`. Each model is made by the framework's own
classes, saved with save_pretrained(), imported with `quern model import` and run over
sequences of random ids. Vocabularies are cut to a few thousand rows, which changes nothing
but the size of a table. Printed, per model: the largest absolute difference of a logit and
of a hidden state over all layers and lengths; with --torch64 also the framework's own, f32
against f64. Exit status 1 when f32 is off by over 2e-4 (logits) or 1e-3 (states).
"""
import argparse
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import numpy
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (BertConfig, BertForSequenceClassification, DebertaV2Config,
                          DebertaV2ForSequenceClassification, ModernBertConfig,
                          ModernBertForSequenceClassification, RobertaConfig,
                          RobertaForSequenceClassification, XLMRobertaConfig,
                          XLMRobertaForSequenceClassification)

VOCAB = 4000
LENGTHS = [1, 2, 127, 128, 129, 130, 200, 257, 512]
V3 = dict(type_vocab_size=0, layer_norm_eps=1e-7, relative_attention=True,
          position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True,
          pos_att_type=["p2c", "c2p"], position_biased_input=False, hidden_act="gelu",
          max_position_embeddings=512, max_relative_positions=-1)


def shape(layers, hidden, heads, wide):
    return dict(vocab_size=VOCAB, num_hidden_layers=layers, hidden_size=hidden,
                num_attention_heads=heads, intermediate_size=wide, num_labels=1)


def deberta(layers, hidden, heads, wide, **more):
    return DebertaV2ForSequenceClassification, DebertaV2Config(
        **(shape(layers, hidden, heads, wide) | V3 | more))


def modernbert(layers, hidden, heads, wide, **more):
    return ModernBertForSequenceClassification, ModernBertConfig(
        **(shape(layers, hidden, heads, wide) | dict(
            max_position_embeddings=8192, pad_token_id=0, cls_token_id=2, sep_token_id=3,
            bos_token_id=2, eos_token_id=3, attn_implementation="eager") | more))


def roberta(config, model, layers, hidden, heads, wide, positions=514):
    return model, config(**shape(layers, hidden, heads, wide), type_vocab_size=1,
                         max_position_embeddings=positions, layer_norm_eps=1e-5,
                         pad_token_id=1, bos_token_id=0, eos_token_id=2)


MODELS = {
    "minilm-l6": lambda: (BertForSequenceClassification,
                          BertConfig(**shape(6, 384, 12, 1536))),
    "minilm-l12": lambda: (BertForSequenceClassification,
                           BertConfig(**shape(12, 384, 12, 1536))),
    "bert-base": lambda: (BertForSequenceClassification,
                          BertConfig(**shape(12, 768, 12, 3072))),
    "roberta-base": lambda: roberta(RobertaConfig, RobertaForSequenceClassification, 12,
                                    768, 12, 3072),
    "xlm-r-base": lambda: roberta(XLMRobertaConfig, XLMRobertaForSequenceClassification,
                                  12, 768, 12, 3072),
    "xlm-r-large": lambda: roberta(XLMRobertaConfig, XLMRobertaForSequenceClassification,
                                   24, 1024, 16, 4096, 8194),
    "deberta-v3-xsmall": lambda: deberta(12, 384, 6, 1536),
    "deberta-v3-small": lambda: deberta(6, 768, 12, 3072),
    "deberta-v3-base": lambda: deberta(12, 768, 12, 3072),
    "deberta-v3-large": lambda: deberta(24, 1024, 16, 4096),
    "deberta-v2-own-keys": lambda: deberta(4, 768, 12, 3072, share_att_key=False,
                                           position_biased_input=True, type_vocab_size=2),
    "deberta-v2-c2p": lambda: deberta(4, 768, 12, 3072, pos_att_type=["c2p"]),
    "deberta-v2-p2c": lambda: deberta(4, 768, 12, 3072, pos_att_type=["p2c"],
                                      share_att_key=False),
    "deberta-v2-no-terms": lambda: deberta(3, 384, 6, 1536, pos_att_type=[]),
    "deberta-v2-distances": lambda: deberta(4, 384, 6, 1536, position_buckets=-1,
                                            norm_rel_ebd="none"),
    "deberta-v2-absolute": lambda: deberta(4, 384, 6, 1536, relative_attention=False,
                                           position_biased_input=True),
    "deberta-v2-xlarge-4": lambda: deberta(4, 1536, 24, 6144, conv_kernel_size=3,
                                           conv_act="gelu", num_labels=3),
    "deberta-v2-embedding": lambda: deberta(4, 768, 12, 3072, embedding_size=256,
                                            hidden_act="gelu_new", conv_kernel_size=5,
                                            conv_groups=4),
    "modernbert-base": lambda: modernbert(22, 768, 12, 1152, classifier_pooling="mean"),
    "modernbert-large-cls": lambda: modernbert(28, 1024, 16, 2624),
    "modernbert-biases": lambda: modernbert(6, 768, 12, 1152, norm_bias=True,
                                            attention_bias=True, mlp_bias=True,
                                            classifier_bias=True, local_attention=32,
                                            hidden_activation="gelu_pytorch_tanh"),
    "bert-relu": lambda: (BertForSequenceClassification,
                          BertConfig(**shape(4, 384, 12, 1536), hidden_act="relu")),
    "bert-silu": lambda: (BertForSequenceClassification,
                          BertConfig(**shape(4, 384, 12, 1536), hidden_act="silu")),
    "bert-gelu-new": lambda: (BertForSequenceClassification,
                              BertConfig(**shape(4, 384, 12, 1536), hidden_act="gelu_new")),
}


def tokenizer(names):
    pieces = list(names) + [f"w{i}" for i in range(100)]
    t = Tokenizer(models.WordPiece({w: i for i, w in enumerate(pieces)}, unk_token=names[3]))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cls, sep = names[2], names[4]
    t.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}", pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(cls, pieces.index(cls)), (sep, pieces.index(sep))])
    t.add_special_tokens(list(names))
    return t


def spread(model, seed):
    """Weights as trained models have them in size: no bias, norm or table is left at its
    trivial initial value."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                p.copy_(1.0 + 0.1 * noise)
            elif p.dim() == 1:
                p.copy_(0.05 * noise)
            elif "embeddings" in name:
                p.copy_(0.05 * noise)
            else:
                p.copy_(noise / p.shape[1] ** 0.5)
    return model.eval()


def reference(model, ids, types):
    """All hidden states (the last one after the last norm) and the logits."""
    base = getattr(model, model.base_model_prefix)
    states = []
    with torch.no_grad():
        if hasattr(base, "layers"):
            keep = [base.embeddings.register_forward_hook(
                lambda m, i, o: states.append(o[0]))]
            keep += [layer.register_forward_hook(
                lambda m, i, o: states.append((o[0] if isinstance(o, tuple) else o)[0]))
                for layer in base.layers[:-1]]
            keep.append(base.final_norm.register_forward_hook(
                lambda m, i, o: states.append(o[0])))
            logits = model(ids).logits[0]
            for k in keep:
                k.remove()
        else:
            out = model(ids, token_type_ids=types, output_hidden_states=True)
            states, logits = [h[0] for h in out.hidden_states], out.logits[0]
    return torch.stack([s for s in states]).double().numpy(), logits.double().numpy()


def run_ours(build, qnm, records, kernels):
    data = b"".join(struct.pack("<I", len(i)) + numpy.array(i, "<u4").tobytes()
                    + bytes(t) for i, t in records)
    command = [str(build / "tests/unit/nn_dump"), str(qnm)] + ([kernels] if kernels else [])
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr.decode())
    return numpy.frombuffer(done.stdout, "<f4"), done.stderr.decode().strip()


def check(name, build, work, args):
    cls, config = MODELS[name]()
    torch.manual_seed(1)
    model = spread(cls(config), 7)
    folder = work / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    roberta_like = hasattr(model, "roberta")
    names = ("[PAD]", "[MASK]", "[CLS]", "[UNK]", "[SEP]")
    tokenizer(names).save(str(folder / "tokenizer.json"))
    qnm = work / "models" / f"{name}.qnm"
    subprocess.run([str(build / "quern"), "model", "import", str(folder), "--name", name,
                    "--dtype", args.dtype, "--data", str(work), "--quiet"], check=True,
                   stdout=subprocess.DEVNULL)
    rng = numpy.random.default_rng(5)
    typed = (config.type_vocab_size or 0) > 1 if hasattr(config, "type_vocab_size") else False
    records = []
    for n in LENGTHS if config.num_hidden_layers < 20 else LENGTHS[:2] + [129, 512]:
        ids = rng.integers(4, VOCAB, n).tolist()
        records.append((ids, [int(typed and i > n // 3) for i in range(n)]))
    got, backend = run_ours(build, qnm, records, args.kernels)
    logit = state = own_logit = own_state = top = 0.0
    at = 0
    wide = model.double() if args.torch64 else None
    for ids, types in records:
        x, t = torch.tensor([ids]), torch.tensor([types])
        narrow = model.float() if not args.torch64 else None
        if args.torch64:
            model.float()
            f32_states, f32_logits = reference(model, x, t)
            model.double()
        want_states, want_logits = reference(wide if wide is not None else narrow, x, t)
        size = want_states.size
        mine = got[at:at + size].reshape(want_states.shape).astype("f8")
        at += size
        mine_logits = got[at:at + want_logits.size].astype("f8")
        at += want_logits.size
        state = max(state, numpy.abs(mine - want_states).max())
        logit = max(logit, numpy.abs(mine_logits - want_logits).max())
        top = max(top, numpy.abs(want_logits).max())
        if args.torch64:
            own_state = max(own_state, numpy.abs(f32_states - want_states).max())
            own_logit = max(own_logit, numpy.abs(f32_logits - want_logits).max())
    assert at == got.size
    own = f"  torch f32: {own_logit:.1e} {own_state:.1e}" if args.torch64 else ""
    print(f"{name:22} {args.dtype:5} {backend:18} logit {logit:.1e} (of up to {top:.1f})"
          f"  states {state:.1e}{own}", flush=True)
    if not args.keep:
        shutil.rmtree(folder)
        for left in qnm.parent.glob(f"{name}*"):
            left.unlink()
    return args.dtype != "f32" or (logit <= 2e-4 and state <= 1e-3)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("--only", default="")
    p.add_argument("--dtype", default="f32")
    p.add_argument("--kernels", default="")
    p.add_argument("--work", type=pathlib.Path)
    p.add_argument("--torch64", action="store_true")
    p.add_argument("--keep", action="store_true")
    args = p.parse_args()
    names = [n for n in MODELS if any(part in n for part in args.only.split(","))]
    with tempfile.TemporaryDirectory() as scratch:
        work = args.work or pathlib.Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        good = [check(n, args.build, work, args) for n in names]
    sys.exit(0 if all(good) else 1)


main()
