#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Folders as people have them, imported, against what their own libraries compute.

    pip install torch transformers sentence-transformers tokenizers sentencepiece
    python3 tests/oracle/nn_import_oracle.py BUILD_DIR [--only PART,...] [--work DIR] [--keep]

BUILD_DIR holds `quern` and `tests/unit/nn_texts`. Every case below makes a small random
model and saves it in some way: other classes, keys, files, forms of weights and of
tokenizers. It must either give the library's numbers (5e-5 of the largest, at least of 1)
or be refused by the words that the case says. Exit status 1 when one does neither.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TQDM_DISABLE"] = "1"

import numpy
import sentencepiece
import torch
import transformers as tf
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder import MultiVectorEncoder
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling
from sentence_transformers.sparse_encoder.modules import SpladePooling
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = ["", "flour", "How does a water-mill grind grain?",
         "The upper stone turns; the lower lies still.", "Ünïcode, ﬁne \u4e2d\u6587 \U0001F600!",
         " ".join(["the river moves the wheel and the wheel moves the stone"] * 8)]
PAIRS = [("mill", "The mill turns"), ("how does the hand mill grind", TEXTS[3]),
         ("Ice", TEXTS[4]), (TEXTS[5], TEXTS[5]), ("", "")]
LINES = TEXTS + ["paper and ice on the lake in the town", "wheat flour from the stone mill",
                 "a hand mill grinds wheat between two stones", "42 of 100 mills stand still"]
LINES = LINES * 6
MOST = 48
CASES = {}


def case(f):
    CASES[f.__name__.replace("_", "-")] = f
    return f


def widen(model, seed=3, scale=0.3):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape, generator=g) * scale)
            if "norm" in name.lower() and name.endswith("weight"):
                p.add_(1.0)
    return model.eval()


# ---- tokenizers ---------------------------------------------------------------------

BERT_NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA_NAMES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


TRAINED = {}


def once(name, make):
    """Training draws lots among equals: one tokenizer of a kind for all."""
    if name not in TRAINED:
        TRAINED[name] = make().to_str()
    return Tokenizer.from_str(TRAINED[name])


def fast(t, names, **more):
    pad, unk, cls, sep, mask = names
    return tf.PreTrainedTokenizerFast(tokenizer_object=t, pad_token=pad, unk_token=unk, cls_token=cls,
                                      sep_token=sep, mask_token=mask, bos_token=cls, eos_token=sep,
                                      **({"model_max_length": MOST} | more))


def bert_tokenizer(lowercase=True, **more):
    def make():
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        t.train_from_iterator(LINES, trainers.WordPieceTrainer(vocab_size=200, special_tokens=BERT_NAMES,
                                                               show_progress=False))
        t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        return t

    t = once(("bert", lowercase), make)
    return fast(t, BERT_NAMES, **({"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]} | more))


def roberta_tokenizer(**more):
    def make():
        t = Tokenizer(models.BPE())
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        t.train_from_iterator(LINES, trainers.BpeTrainer(
            vocab_size=400, special_tokens=ROBERTA_NAMES, show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
        return t

    t = once("roberta", make)
    return fast(t, ("<pad>", "<unk>", "<s>", "</s>", "<mask>"), **more)


def modern_tokenizer(**more):
    def make():
        t = Tokenizer(models.BPE())
        t.normalizer = normalizers.NFC()
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        t.train_from_iterator(LINES, trainers.BpeTrainer(
            vocab_size=400, special_tokens=BERT_NAMES, show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        t.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
        return t

    t = once("modern", make)
    return fast(t, BERT_NAMES, model_input_names=["input_ids", "attention_mask"], **more)


def unigram_tokenizer(**more):
    def make():
        t = Tokenizer(models.Unigram())
        t.normalizer = normalizers.Sequence([normalizers.NFKC()])
        t.pre_tokenizer = pre_tokenizers.Metaspace()
        t.train_from_iterator(LINES, trainers.UnigramTrainer(
            vocab_size=200, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
        t.add_special_tokens(["<mask>"])
        t.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
        return t

    t = once("unigram", make)
    return fast(t, ("<pad>", "<unk>", "<s>", "</s>", "<mask>"), **more)


def train_spm(prefix, **more):
    text = pathlib.Path(f"{prefix}.txt")
    text.write_text("\n".join(LINES), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(prefix), vocab_size=200, model_type="unigram", minloglevel=2,
        hard_vocab_limit=False, **more)
    text.unlink()
    return f"{prefix}.model"


# ---- models -------------------------------------------------------------------------

SMALL = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
             max_position_embeddings=64)


def bert(cls=tf.BertForSequenceClassification, vocab=None, **more):
    return widen(cls(tf.BertConfig(vocab_size=vocab or len(bert_tokenizer()), **({"num_labels": 1} | SMALL | more))))


def roberta(cls=tf.RobertaForSequenceClassification, config=tf.RobertaConfig, vocab=None, **more):
    return widen(cls(config(vocab_size=vocab or len(roberta_tokenizer()), **(
        {"num_labels": 1, "type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2} | SMALL
        | more))))


V3 = dict(type_vocab_size=0, relative_attention=True, position_buckets=8, norm_rel_ebd="layer_norm",
          share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False)


def deberta(cls=tf.DebertaV2ForSequenceClassification, vocab=None, **more):
    return widen(cls(tf.DebertaV2Config(vocab_size=vocab or len(bert_tokenizer()), **(
        {"num_labels": 1} | SMALL | V3 | more))))


def modern(cls=tf.ModernBertForSequenceClassification, vocab=None, **more):
    return widen(cls(tf.ModernBertConfig(vocab_size=vocab or len(modern_tokenizer()), **(
        {"num_labels": 1, "local_attention": 8, "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3,
         "bos_token_id": 2, "eos_token_id": 3, "attn_implementation": "eager"} | SMALL
        | dict(num_hidden_layers=4) | more))))


def tokenizer_of(model):
    kind = model.config.model_type
    return {"bert": bert_tokenizer, "roberta": roberta_tokenizer, "xlm-roberta": unigram_tokenizer,
            "camembert": unigram_tokenizer, "deberta-v2": bert_tokenizer, "modernbert": modern_tokenizer}[kind]()


# ---- what the libraries compute -----------------------------------------------------

def numbers(t):
    return torch.as_tensor(t).detach().float().cpu().numpy()


def scores(model, tokenizer, pairs=PAIRS, most=MOST):
    """As transformers: raw logits of every pair."""
    out = []
    for q, d in pairs:
        enc = tokenizer([[q, d]], truncation="longest_first", max_length=most, return_tensors="pt")
        if getattr(model.config, "type_vocab_size", 0) in (0, 1):
            enc.pop("token_type_ids", None)
        with torch.no_grad():
            out.append(({"query": q, "text": d}, numbers(model(**enc).logits), None))
    return out


def means(model, tokenizer, texts=TEXTS, most=MOST):
    """The mean of a bare encoder's rows."""
    out = []
    for x in texts:
        enc = tokenizer(x, truncation=True, max_length=most, return_tensors="pt")
        if getattr(model.config, "type_vocab_size", 0) in (0, 1):
            enc.pop("token_type_ids", None)
        with torch.no_grad():
            out.append(({"text": x}, numbers(model(**enc).last_hidden_state.mean(1)), None))
    return out


def save_both(model, folder, tokenizer=None, **more):
    tokenizer = tokenizer or tokenizer_of(model)
    model.save_pretrained(folder, **more)
    tokenizer.save_pretrained(folder)
    return tokenizer


def plain(model, folder, run=None, **more):
    tokenizer = save_both(model, folder, **more)
    classifies = "Classification" in type(model).__name__
    return (run or (scores if classifies else means))(model, tokenizer)


def edit(folder, name, change):
    path = folder / name
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


class Refused:
    def __init__(self, words):
        self.words = words


# ---- classifiers of every family ----------------------------------------------------

def classifier_cases():
    makers = {"bert": bert, "roberta": roberta, "deberta": deberta, "modern": modern,
              "xlmr": lambda **m: roberta(tf.XLMRobertaForSequenceClassification, tf.XLMRobertaConfig,
                                          len(unigram_tokenizer()), **m),
              "camembert": lambda **m: roberta(tf.CamembertForSequenceClassification, tf.CamembertConfig,
                                               len(unigram_tokenizer()), **m)}
    for family, make in makers.items():
        for labels in (1, 2, 3):
            CASES[f"labels-{family}-{labels}"] = lambda folder, make=make, labels=labels: plain(
                make(num_labels=labels, id2label={i: f"name {i}" for i in range(labels)},
                     label2id={f"name {i}": i for i in range(labels)}), folder)
        key = "hidden_activation" if family == "modern" else "hidden_act"
        for act in ("gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "quick_gelu", "relu", "silu", "swish",
                    "tanh", "gelu_python"):
            CASES[f"act-{family}-{act}"] = lambda folder, make=make, act=act, key=key: plain(
                make(**{key: act}), folder)
        CASES[f"act-{family}-mish"] = lambda folder, make=make, key=key: (
            plain(make(**{key: "mish"}), folder), Refused(key))[1]
        for form in ("bf16", "fp16", "sharded", "sharded-bin", "bin"):
            CASES[f"form-{family}-{form}"] = lambda folder, make=make, form=form: saved_as(make(), folder, form)
        CASES[f"dropout-{family}"] = lambda folder, make=make: plain(make(classifier_dropout=0.3), folder)
        CASES[f"heads-{family}"] = lambda folder, make=make: plain(make(num_attention_heads=4), folder)
        CASES[f"wide-{family}"] = lambda folder, make=make: plain(
            make(hidden_size=40, num_attention_heads=5, intermediate_size=72), folder)
        CASES[f"eps-{family}"] = lambda folder, make=make, family=family: plain(
            make(**{"norm_eps" if family == "modern" else "layer_norm_eps": 1e-3}), folder)


def saved_as(model, folder, form):
    tokenizer = tokenizer_of(model)
    if form == "bf16":
        model.bfloat16().save_pretrained(folder)
        model = type(model).from_pretrained(folder, dtype=torch.float32).eval()
    elif form == "fp16":
        model.half().save_pretrained(folder)
        model = type(model).from_pretrained(folder, dtype=torch.float32).eval()
    elif form == "sharded":
        model.save_pretrained(folder, max_shard_size="20KB")
        assert (folder / "model.safetensors.index.json").exists()
    else:
        model.save_pretrained(folder)
        (folder / "model.safetensors").unlink()
        state = model.state_dict()
        if form == "bin":
            torch.save(state, folder / "pytorch_model.bin")
        else:
            names, shards = sorted(state), 3
            index = {"metadata": {"total_size": 1}, "weight_map": {}}
            for i in range(shards):
                file = f"pytorch_model-{i + 1:05}-of-{shards:05}.bin"
                part = {k: state[k] for k in names[i::shards]}
                torch.save(part, folder / file)
                index["weight_map"].update({k: file for k in part})
            (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    tokenizer.save_pretrained(folder)
    return scores(model, tokenizer)


classifier_cases()


# ---- odd shapes ---------------------------------------------------------------------

def odd_cases():
    for family, make in (("bert", bert), ("roberta", roberta), ("deberta", deberta), ("modern", modern)):
        for hidden, heads, wide in ((15, 3, 7), (30, 3, 7), (10, 5, 33), (14, 7, 50), (66, 1, 130), (12, 6, 1)):
            if family == "modern" and hidden // heads % 2:
                continue
            CASES[f"odd-{family}-{hidden}-{heads}"] = lambda folder, make=make, s=(hidden, heads, wide): plain(
                make(hidden_size=s[0], num_attention_heads=s[1], intermediate_size=s[2]), folder)
        CASES[f"odd-{family}-one-layer"] = lambda folder, make=make: plain(make(num_hidden_layers=1), folder)
        CASES[f"odd-{family}-17-labels"] = lambda folder, make=make: plain(make(num_labels=17), folder)
    for name, keys in (("few-buckets", dict(position_buckets=4, max_relative_positions=40)),
                       ("wide-span", dict(position_buckets=64, max_relative_positions=256)),
                       ("short-span", dict(position_buckets=-1, max_relative_positions=3)),
                       ("c2p-own-keys", dict(pos_att_type="c2p", share_att_key=False, norm_rel_ebd="none",
                                             position_biased_input=True)),
                       ("conv-groups", dict(conv_kernel_size=5, conv_groups=2))):
        CASES[f"odd-deberta-{name}"] = lambda folder, keys=keys: plain(deberta(**keys), folder)
    for window in (2, 400):
        CASES[f"odd-modern-window-{window}"] = lambda folder, w=window: plain(modern(local_attention=w), folder)
    CASES["odd-bert-5-types"] = lambda folder: plain(bert(type_vocab_size=5), folder)


odd_cases()


# ---- forms of weights ---------------------------------------------------------------

def torch_form(folder, change, **more):
    model = bert()
    tokenizer = save_both(model, folder)
    (folder / "model.safetensors").unlink()
    torch.save(change(model.state_dict(), model), folder / "pytorch_model.bin", **more)
    return scores(model, tokenizer)


@case
def torch_data_parallel(folder):
    return torch_form(folder, lambda s, m: {"module." + k: v for k, v in s.items()})


@case
def torch_wrapped(folder):
    return torch_form(folder, lambda s, m: {"state_dict": s, "epoch": 3, "loss": 0.25})


@case
def torch_wrapped_model(folder):
    return torch_form(folder, lambda s, m: {"model": s})


@case
def torch_lightning(folder):
    return torch_form(folder, lambda s, m: {"state_dict": {"model." + k: v for k, v in s.items()},
                                            "global_step": 10})


@case
def torch_model_state_dict(folder):
    return torch_form(folder, lambda s, m: {"model_state_dict": s, "step": 1})


@case
def torch_parameters(folder):
    return torch_form(folder, lambda s, m: {k: torch.nn.Parameter(v) for k, v in s.items()})


@case
def torch_not_contiguous(folder):
    return torch_form(folder, lambda s, m: {k: v.t().contiguous().t() if v.dim() == 2 else v
                                            for k, v in s.items()})


@case
def torch_views(folder):
    """Every tensor a piece of one storage."""
    def change(s, m):
        whole = torch.cat([v.float().flatten() for v in s.values()])
        out, at = {}, 0
        for k, v in s.items():
            out[k] = whole[at:at + v.numel()].view(v.shape)
            at += v.numel()
        return out
    return torch_form(folder, change)


@case
def torch_strided(folder):
    def change(s, m):
        out = {}
        for k, v in s.items():
            if v.dim() == 2:
                wide = torch.zeros(v.shape[0], v.shape[1] * 2)
                wide[:, ::2] = v
                out[k] = wide[:, ::2]
            else:
                out[k] = v
        return out
    return torch_form(folder, change)


@case
def torch_half(folder):
    model = bert().half().float()
    tokenizer = save_both(model, folder)
    (folder / "model.safetensors").unlink()
    torch.save({k: v.half() for k, v in model.state_dict().items()}, folder / "pytorch_model.bin")
    return scores(model, tokenizer)


@case
def torch_double(folder):
    return torch_form(folder, lambda s, m: {k: v.double() for k, v in s.items()})


@case
def torch_old_form(folder):
    torch_form(folder, lambda s, m: s, _use_new_zipfile_serialization=False)
    return Refused("before version 1.6")


@case
def torch_whole_module(folder):
    torch_form(folder, lambda s, m: m)
    return Refused("pytorch_model.bin")


@case
def torch_position_ids(folder):
    def change(s, m):
        s["bert.embeddings.position_ids"] = torch.arange(64).unsqueeze(0)
        return s
    return torch_form(folder, change)


@case
def safetensors_position_ids(folder):
    model = bert()
    tokenizer = save_both(model, folder)
    s = load_file(folder / "model.safetensors")
    s["bert.embeddings.position_ids"] = torch.arange(64).unsqueeze(0)
    save_file(s, folder / "model.safetensors", metadata={"format": "pt"})
    return scores(model, tokenizer)


@case
def safetensors_double(folder):
    model = bert()
    tokenizer = save_both(model, folder)
    s = {k: v.double() for k, v in load_file(folder / "model.safetensors").items()}
    save_file(s, folder / "model.safetensors", metadata={"format": "pt"})
    return scores(model, tokenizer)


@case
def gamma_beta(folder):
    model = bert()
    tokenizer = save_both(model, folder)
    s = {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
         for k, v in load_file(folder / "model.safetensors").items()}
    save_file(s, folder / "model.safetensors", metadata={"format": "pt"})
    return scores(model, tokenizer)


# ---- keys ---------------------------------------------------------------------------

@case
def bert_one_type(folder):
    """One row of types, and a tokenizer that gives two."""
    plain(bert(type_vocab_size=1), folder)
    return Refused("type_vocab_size")


@case
def no_types(folder):
    """A tokenizer that gives no types: the model sees zeros."""
    model = bert()
    t = save_both(model, folder, bert_tokenizer(model_input_names=["input_ids", "attention_mask"]))
    return scores(model, t)


@case
def no_types_by_class(folder):
    model = bert()
    t = save_both(model, folder, bert_tokenizer(model_input_names=["input_ids", "attention_mask"]))
    edit(folder, "tokenizer_config.json", lambda c: (c.pop("model_input_names", None),
                                                     c.update(tokenizer_class="TokenizersBackend")))
    return scores(model, t)


@case
def no_types_one_row(folder):
    model = bert(type_vocab_size=1)
    t = save_both(model, folder, bert_tokenizer(model_input_names=["input_ids", "attention_mask"]))
    return scores(model, t)


@case
def bert_relative_key(folder):
    plain(bert(), folder)
    edit(folder, "config.json", lambda c: c.update(position_embedding_type="relative_key"))
    return Refused("position_embedding_type")


@case
def bert_old_config(folder):
    out = plain(bert(), folder)

    def change(c):
        for k in ("dtype", "id2label", "label2id", "tie_word_embeddings", "is_decoder", "add_cross_attention"):
            c.pop(k, None)
        c.update(torch_dtype="float32", _name_or_path="x", transformers_version="4.6.0", gradient_checkpointing=False,
                 num_labels=1, position_embedding_type="absolute", finetuning_task=None)
    edit(folder, "config.json", change)
    return out


@case
def bert_without_pooler(folder):
    model = bert(lambda c: tf.BertModel(c, add_pooling_layer=False))
    return plain(model, folder)


@case
def bert_bare(folder):
    return plain(bert(tf.BertModel), folder)


@case
def roberta_bare(folder):
    return plain(roberta(tf.RobertaModel), folder)


@case
def xlmr_bare(folder):
    return plain(roberta(tf.XLMRobertaModel, tf.XLMRobertaConfig, len(unigram_tokenizer())), folder)


@case
def deberta_bare(folder):
    return plain(deberta(tf.DebertaV2Model), folder)


@case
def modern_bare(folder):
    return plain(modern(tf.ModernBertModel), folder)


@case
def bert_mlm_as_embed(folder):
    model = bert(tf.BertForMaskedLM)
    tokenizer = save_both(model, folder)
    return means(model.bert, tokenizer)


@case
def bert_pretraining(folder):
    model = bert(tf.BertForPreTraining)
    tokenizer = save_both(model, folder)
    return means(model.bert, tokenizer)


@case
def bert_tokens_class(folder):
    model = bert(tf.BertForTokenClassification)
    save_both(model, folder)
    return Refused("BertForTokenClassification")


@case
def bert_questions_class(folder):
    save_both(bert(tf.BertForQuestionAnswering), folder)
    return Refused("BertForQuestionAnswering")


@case
def other_family(folder):
    model = widen(tf.ElectraForSequenceClassification(tf.ElectraConfig(
        vocab_size=len(bert_tokenizer()), embedding_size=16, num_labels=1, **SMALL)))
    save_both(model, folder, bert_tokenizer())
    return Refused("model_type is \"electra\"")


@case
def modern_cls(folder):
    return plain(modern(classifier_pooling="cls"), folder)


@case
def modern_mean(folder):
    return plain(modern(classifier_pooling="mean"), folder)


@case
def modern_biases(folder):
    return plain(modern(norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True,
                        classifier_activation="silu"), folder)


@case
def modern_layers(folder):
    return plain(modern(layer_types=["sliding_attention", "full_attention", "sliding_attention",
                                     "sliding_attention"]), folder)


@case
def modern_theta(folder):
    return plain(modern(rope_parameters={
        "full_attention": {"rope_type": "default", "rope_theta": 5000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 700.0}}), folder)


@case
def modern_rope_linear(folder):
    plain(modern(), folder)
    edit(folder, "config.json", lambda c: c["rope_parameters"]["full_attention"].update(
        rope_type="linear", factor=2.0))
    return Refused("rope_type")


@case
def modern_4x_config(folder):
    """The keys that transformers 4.48 to 4.57 wrote."""
    model = modern(rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 5000.0},
                                    "sliding_attention": {"rope_type": "default", "rope_theta": 700.0}},
                   layer_types=["full_attention", "sliding_attention"] * 2)
    out = plain(model, folder)

    def change(c):
        c.pop("rope_parameters")
        c.pop("layer_types")
        c.update(global_rope_theta=5000.0, local_rope_theta=700.0, global_attn_every_n_layers=2, torch_dtype="float32",
                 reference_compile=None, repad_logits_with_grad=False, sparse_prediction=False,
                 sparse_pred_ignore_index=-100, position_embedding_type="absolute", deterministic_flash_attn=False)
    edit(folder, "config.json", change)
    return out


@case
def deberta_types(folder):
    return plain(deberta(type_vocab_size=2), folder)


@case
def deberta_list(folder):
    return plain(deberta(pos_att_type=["c2p"]), folder)


@case
def deberta_p2c(folder):
    return plain(deberta(pos_att_type=["p2c"], share_att_key=False), folder)


@case
def deberta_embedding(folder):
    return plain(deberta(embedding_size=8, type_vocab_size=2, position_biased_input=True), folder)


@case
def deberta_conv(folder):
    return plain(deberta(conv_kernel_size=3, conv_act="gelu"), folder)


@case
def deberta_distances(folder):
    return plain(deberta(position_buckets=-1, max_relative_positions=12, norm_rel_ebd="none"), folder)


@case
def deberta_absolute(folder):
    return plain(deberta(relative_attention=False, position_biased_input=True, pos_att_type=None), folder)


@case
def deberta_pooler_act(folder):
    return plain(deberta(pooler_hidden_act="tanh", pooler_hidden_size=16, pooler_dropout=0), folder)


@case
def deberta_legacy(folder):
    return plain(deberta(legacy=False), folder)


@case
def deberta_v1(folder):
    model = widen(tf.DebertaForSequenceClassification(tf.DebertaConfig(
        vocab_size=len(bert_tokenizer()), num_labels=1, relative_attention=True, pos_att_type="c2p|p2c", **SMALL)))
    save_both(model, folder, bert_tokenizer())
    return Refused("model_type is \"deberta\"")


@case
def roberta_pad(folder):
    """Positions begin behind the padding's."""
    return plain(roberta(tf.RobertaModel), folder)


# ---- tokenizers from other files ----------------------------------------------------

def strip(folder, *names):
    for name in names:
        (folder / name).unlink(missing_ok=True)


def pieces(folder):
    t = json.loads((folder / "tokenizer.json").read_text())
    return t["model"]["vocab"], t["model"].get("merges")


def write_vocab_txt(folder):
    vocab, _ = pieces(folder)
    (folder / "vocab.txt").write_text("".join(k + "\n" for k, _ in sorted(vocab.items(), key=lambda x: x[1])))


def from_vocab_txt(folder, lowercase=True, **keys):
    model = bert(vocab=len(bert_tokenizer(lowercase)))
    save_both(model, folder, bert_tokenizer(lowercase))
    write_vocab_txt(folder)
    strip(folder, "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "BertTokenizer", "model_max_length": MOST, "do_lower_case": lowercase} | keys))
    return scores(model, tf.AutoTokenizer.from_pretrained(folder))


@case
def vocab_txt(folder):
    return from_vocab_txt(folder)


@case
def vocab_txt_cased(folder):
    return from_vocab_txt(folder, False)


@case
def vocab_txt_no_chinese(folder):
    return from_vocab_txt(folder, tokenize_chinese_chars=False)


@case
def vocab_txt_accents(folder):
    return from_vocab_txt(folder, strip_accents=False)


@case
def vocab_txt_alone(folder):
    """No tokenizer_config.json either: what the library assumes."""
    model = bert()
    save_both(model, folder)
    write_vocab_txt(folder)
    strip(folder, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    return scores(model, tf.AutoTokenizer.from_pretrained(folder), most=64)


def from_merges(folder, model, cls, **keys):
    save_both(model, folder, roberta_tokenizer())
    vocab, merges = pieces(folder)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(
        (m if isinstance(m, str) else " ".join(m)) + "\n" for m in merges))
    strip(folder, "tokenizer.json", "tokenizer_config.json")
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": cls, "model_max_length": MOST} | keys))
    return scores(model, tf.AutoTokenizer.from_pretrained(folder))


@case
def merges(folder):
    return from_merges(folder, roberta(), "RobertaTokenizer")


@case
def merges_prefix_space(folder):
    return from_merges(folder, roberta(), "RobertaTokenizer", add_prefix_space=True)


@case
def spm_deberta(folder):
    """SentencePiece itself is what spm.model means; the library's class only comes near."""
    path = train_spm(folder / "spm", pad_id=0, pad_piece="[PAD]", bos_id=1, bos_piece="[CLS]", eos_id=2,
                     eos_piece="[SEP]", unk_id=3, unk_piece="[UNK]")
    spm = sentencepiece.SentencePieceProcessor(model_file=path)
    model = deberta(vocab=spm.get_piece_size() + 8)
    model.save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "DebertaV2Tokenizer", "model_max_length": 64, "do_lower_case": False,
         "vocab_type": "spm"}))
    pathlib.Path(f"{folder}/spm.vocab").unlink()
    out = []
    for q, d in PAIRS[:3] + PAIRS[4:]:
        ids = [1] + spm.encode(q) + [2] + spm.encode(d) + [2]
        with torch.no_grad():
            out.append(({"query": q, "text": d}, numbers(model(torch.tensor([ids])).logits), None))
    return out


@case
def spm_deberta_lower(folder):
    spm_deberta(folder)
    edit(folder, "tokenizer_config.json", lambda c: c.update(do_lower_case=True))
    return Refused("do_lower_case")


@case
def spm_deberta_punctuation(folder):
    spm_deberta(folder)
    edit(folder, "tokenizer_config.json", lambda c: c.update(split_by_punct=True))
    return Refused("split_by_punct")


@case
def spm_xlmr(folder):
    path = train_spm(folder / "sentencepiece.bpe")
    count = sentencepiece.SentencePieceProcessor(model_file=path).get_piece_size()
    model = roberta(tf.XLMRobertaForSequenceClassification, tf.XLMRobertaConfig, count + 2)
    model.save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": MOST}))
    pathlib.Path(f"{folder}/sentencepiece.bpe.vocab").unlink()
    return scores(model, tf.AutoTokenizer.from_pretrained(folder))


@case
def no_tokenizer(folder):
    bert().save_pretrained(folder)
    return Refused("vocab.txt")


@case
def max_length_absurd(folder):
    model = bert()
    tokenizer = save_both(model, folder, bert_tokenizer(model_max_length=int(1e30)))
    return scores(model, tokenizer, most=64)


@case
def cased_json(folder):
    t = bert_tokenizer(False)
    model = bert(vocab=len(t))
    save_both(model, folder, t)
    return scores(model, tf.AutoTokenizer.from_pretrained(folder))


@case
def truncation_in_json(folder):
    """Truncation and padding in tokenizer.json are whoever's that saved it."""
    model = bert()
    t = bert_tokenizer()
    t.backend_tokenizer.enable_truncation(7)
    t.backend_tokenizer.enable_padding(length=20)
    save_both(model, folder, t)
    return scores(model, bert_tokenizer())


@case
def added_tokens(folder):
    t = bert_tokenizer()
    t.add_tokens(["grainzz", tf.AddedToken("Mill-Stone", normalized=False)])
    t.add_special_tokens({"additional_special_tokens": ["[Q]", "[D]"]})
    model = bert(vocab=len(t))
    save_both(model, folder, t)
    texts = [("[Q] grainzz mill", "the Mill-Stone [D] x grainzzy"), ("mill-stone", "[Q][D]")]
    return scores(model, tf.AutoTokenizer.from_pretrained(folder), texts + PAIRS)


@case
def padded_vocab(folder):
    """More rows of embeddings than pieces."""
    return plain(bert(vocab=256), folder)


# ---- sentence-transformers ----------------------------------------------------------

def embedder(folder, parts, texts=TEXTS, model=None, transformer=None, runs=None, **more):
    base = folder.parent / (folder.name + "-base")
    model = model or bert(tf.BertModel)
    save_both(model, base)
    inner = Transformer(str(base), **(transformer or {}))
    m = SentenceTransformer(modules=[inner] + parts, device="cpu", **more)
    m.save(str(folder))
    shutil.rmtree(base)
    m = SentenceTransformer(str(folder), device="cpu").eval()
    out = []
    for x in texts:
        for request, keys in runs or [({}, {})]:
            v = m.encode([x], convert_to_tensor=True, **keys)
            out.append(({"text": x} | request, numbers(v), None))
    return out


for mode in ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"):
    CASES[f"st-{mode}"] = lambda folder, mode=mode: embedder(folder, [Pooling(16, pooling_mode=mode)])
    CASES[f"st-{mode}-normalized"] = lambda folder, mode=mode: embedder(
        folder, [Pooling(16, pooling_mode=mode), Normalize()])
    CASES[f"st-{mode}-modern"] = lambda folder, mode=mode: embedder(
        folder, [Pooling(16, pooling_mode=mode)], model=modern(tf.ModernBertModel))
    CASES[f"st-{mode}-no-prompt"] = lambda folder, mode=mode: embedder(
        folder, [Pooling(16, pooling_mode=mode, include_prompt=False)],
        prompts={"query": "water mill: ", "doc": "x"}, default_prompt_name="query",
        runs=[({}, {}), ({"prompt": "doc"}, {"prompt_name": "doc"})])


@case
def st_pooling_combined(folder):
    return embedder(folder, [Pooling(16, pooling_mode=("max", "cls", "weightedmean"))])


@case
def st_pooling_twice(folder):
    return embedder(folder, [Pooling(16, pooling_mode=("mean", "mean"))])


for act in ("Tanh", "ReLU", "GELU", "SiLU", "Sigmoid", "Identity"):
    CASES[f"st-dense-{act.lower()}"] = lambda folder, act=act: embedder(
        folder, [Pooling(16), widen(Dense(16, 24, activation_function=getattr(torch.nn, act)())), Normalize()])


@case
def st_dense_softplus(folder):
    embedder(folder, [Pooling(16), widen(Dense(16, 24, activation_function=torch.nn.Softplus()))])
    return Refused("activation_function")


@case
def st_dense_residual(folder):
    embedder(folder, [Pooling(16), widen(Dense(16, 24, use_residual=True))])
    return Refused("use_residual")


@case
def st_dense_residual_same(folder):
    embedder(folder, [Pooling(16), widen(Dense(16, 16, use_residual=True))])
    return Refused("use_residual")


@case
def st_dense_no_bias(folder):
    return embedder(folder, [Pooling(16), widen(Dense(16, 8, bias=False))])


@case
def st_norm(folder):
    return embedder(folder, [Pooling(16), widen(LayerNorm(16)), Normalize()])


@case
def st_normalize_twice(folder):
    return embedder(folder, [Pooling(16), Normalize(), widen(Dense(16, 8)), Normalize()])


@case
def st_max_seq(folder):
    return embedder(folder, [Pooling(16)], transformer={"max_seq_length": 11})


@case
def st_old_max_seq(folder):
    """What older versions wrote in sentence_bert_config.json."""
    embedder(folder, [Pooling(16)], transformer={"max_seq_length": 48})
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 9, "do_lower_case": false}')
    m = SentenceTransformer(str(folder), device="cpu").eval()
    return [({"text": x}, numbers(m.encode([x], convert_to_tensor=True)), None) for x in TEXTS]


@case
def st_do_lower_case(folder):
    t = bert_tokenizer(False)
    base = folder.parent / (folder.name + "-base")
    save_both(bert(tf.BertModel, vocab=len(t)), base, t)
    m = SentenceTransformer(modules=[Transformer(str(base)), Pooling(16)], device="cpu")
    m.save(str(folder))
    shutil.rmtree(base)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 40, "do_lower_case": true}')
    m = SentenceTransformer(str(folder), device="cpu").eval()
    return [({"text": x}, numbers(m.encode([x], convert_to_tensor=True)), None) for x in TEXTS]


@case
def st_prompts(folder):
    return embedder(folder, [Pooling(16), Normalize()],
                    prompts={"query": "water mill: ", "document": "", "s2p": "Given \u4e2d, "},
                    default_prompt_name="s2p",
                    runs=[({}, {}), ({"prompt": "query"}, {"prompt_name": "query"}),
                          ({"prompt": "document"}, {"prompt_name": "document"})])


@case
def st_encode_query(folder):
    embedder(folder, [Pooling(16)], prompts={"query": "the mill: ", "passage": "stone "})
    m = SentenceTransformer(str(folder), device="cpu").eval()
    return [({"text": x, "role": "query"}, numbers(m.encode_query([x], convert_to_tensor=True)), None)
            for x in TEXTS] + [
        ({"text": x, "role": "document"}, numbers(m.encode_document([x], convert_to_tensor=True)), None)
        for x in TEXTS]


@case
def st_truncate_dim(folder):
    embedder(folder, [Pooling(16)], truncate_dim=8)
    m = SentenceTransformer(str(folder), device="cpu").eval()
    return [({"text": x}, numbers(m.encode([x], convert_to_tensor=True)), None) for x in TEXTS]


@case
def st_folder_of_transformer(folder):
    """Older versions put the encoder in a folder of its own."""
    out = embedder(folder, [Pooling(16)])
    inner = folder / "0_Transformer"
    inner.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
                 "sentence_bert_config.json", "special_tokens_map.json"):
        if (folder / name).exists():
            shutil.move(folder / name, inner / name)

    def change(c):
        c[0]["path"] = "0_Transformer"
    edit(folder, "modules.json", change)
    m = SentenceTransformer(str(folder), device="cpu").eval()
    return [(r, numbers(m.encode([r["text"]], convert_to_tensor=True)), None) for r, _, _ in out]


@case
def st_old_pooling_flags(folder):
    embedder(folder, [Pooling(16)])
    path = next(folder.glob("1_Pooling/config.json"))
    path.write_text(json.dumps({"word_embedding_dimension": 16, "pooling_mode_cls_token": True,
                                "pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True,
                                "pooling_mode_mean_sqrt_len_tokens": False}))
    m = SentenceTransformer(str(folder), device="cpu").eval()
    return [({"text": x}, numbers(m.encode([x], convert_to_tensor=True)), None) for x in TEXTS]


@case
def st_old_dense_bin(folder):
    """pytorch_model.bin in the parts' folders."""
    out = embedder(folder, [Pooling(16), widen(Dense(16, 8))])
    path = next(folder.glob("2_Dense/model.safetensors"))
    torch.save(load_file(path), path.with_name("pytorch_model.bin"))
    path.unlink()
    return out


@case
def st_roberta(folder):
    return embedder(folder, [Pooling(16), Normalize()], model=roberta(tf.RobertaModel))


@case
def st_deberta(folder):
    return embedder(folder, [Pooling(16, pooling_mode="cls")], model=deberta(tf.DebertaV2Model))


@case
def st_asym(folder):
    embedder(folder, [Pooling(16)])
    edit(folder, "modules.json", lambda c: c.append(
        {"idx": 2, "name": "2", "path": "2_Asym", "type": "sentence_transformers.models.Asym"}))
    return Refused("Asym")


# ---- cross-encoders -----------------------------------------------------------------

def cross(folder, model=None, tokenizer=None, change=None, **more):
    base = folder.parent / (folder.name + "-base")
    save_both(model or bert(), base, tokenizer)
    m = CrossEncoder(str(base), device="cpu", **more)
    m.save_pretrained(str(folder))
    shutil.rmtree(base)
    if change:
        change(folder)
    m = CrossEncoder(str(folder), device="cpu").eval()
    out = []
    for q, d in PAIRS:
        score = numbers(m.predict([(q, d)], convert_to_tensor=True))
        raw = numbers(m.predict([(q, d)], activation_fn=torch.nn.Identity(), convert_to_tensor=True))
        out.append(({"query": q, "text": d}, raw, float(score.ravel()[0]) if score.size == 1 else None))
    return out


@case
def ce_sigmoid(folder):
    return cross(folder)


@case
def ce_identity(folder):
    return cross(folder, activation_fn=torch.nn.Identity())


@case
def ce_tanh(folder):
    cross(folder, activation_fn=torch.nn.Tanh())
    return Refused("activation_fn")


@case
def ce_three(folder):
    return cross(folder, bert(num_labels=3))


@case
def ce_roberta(folder):
    return cross(folder, roberta(), activation_fn=torch.nn.Identity())


@case
def ce_modern(folder):
    return cross(folder, modern())


@case
def ce_deberta(folder):
    return cross(folder, deberta())


@case
def ce_prompt(folder):
    return cross(folder, prompts={"query": "water: ", "rank": "x "}, default_prompt_name="query")


@case
def ce_prompts_no_default(folder):
    return cross(folder, prompts={"query": "water: "})


@case
def ce_max_length(folder):
    return cross(folder, max_length=17)


@case
def ce_old_sbert_key(folder):
    def change(f):
        edit(f, "config_sentence_transformers.json", lambda c: c.pop("activation_fn"))
        edit(f, "config.json", lambda c: c.update(
            sbert_ce_default_activation_function="torch.nn.modules.linear.Identity"))
    return cross(folder, change=change)


@case
def ce_4x_key(folder):
    def change(f):
        strip(f, "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json")
        edit(f, "config.json", lambda c: c.update(sentence_transformers={
            "activation_fn": "torch.nn.modules.linear.Identity", "version": "4.1.0"}))
    return cross(folder, change=change)


@case
def ce_both_keys(folder):
    def change(f):
        edit(f, "config.json", lambda c: c.update(
            sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity"}))
    return cross(folder, change=change)


@case
def ce_untrusted(folder):
    def change(f):
        edit(f, "config_sentence_transformers.json", lambda c: c.update(activation_fn="os.system"))
    return cross(folder, change=change)


@case
def ce_logit_score(folder):
    cross(folder)
    edit(folder, "modules.json", lambda c: c.append(
        {"idx": 1, "name": "1", "path": "1_LogitScore",
         "type": "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"}))
    return Refused("LogitScore")


# ---- sparse -------------------------------------------------------------------------

def sparse(folder, model, **how):
    base = folder.parent / (folder.name + "-base")
    save_both(model, base)
    m = SparseEncoder(modules=[Transformer(str(base), transformer_task="fill-mask"), SpladePooling(**how)],
                      device="cpu")
    m.save(str(folder))
    shutil.rmtree(base)
    m = SparseEncoder(str(folder), device="cpu").eval()
    return [({"text": x}, numbers(m.encode([x], convert_to_sparse_tensor=False)), None) for x in TEXTS]


@case
def splade_bert(folder):
    return sparse(folder, bert(tf.BertForMaskedLM))


@case
def splade_bert_sum(folder):
    return sparse(folder, bert(tf.BertForMaskedLM), pooling_strategy="sum")


@case
def splade_bert_log1p(folder):
    return sparse(folder, bert(tf.BertForMaskedLM), activation_function="log1p_relu")


@case
def splade_bert_untied(folder):
    return sparse(folder, bert(tf.BertForMaskedLM, tie_word_embeddings=False))


@case
def splade_roberta(folder):
    return sparse(folder, roberta(tf.RobertaForMaskedLM))


@case
def splade_xlmr(folder):
    return sparse(folder, roberta(tf.XLMRobertaForMaskedLM, tf.XLMRobertaConfig, len(unigram_tokenizer())))


@case
def splade_modern(folder):
    return sparse(folder, modern(tf.ModernBertForMaskedLM))


@case
def splade_modern_odd(folder):
    return sparse(folder, modern(tf.ModernBertForMaskedLM, norm_bias=True, classifier_bias=True,
                                 classifier_activation="silu", tie_word_embeddings=False))


@case
def splade_deberta(folder):
    sparse(folder, deberta(tf.DebertaV2ForMaskedLM))
    return Refused("architectures")


@case
def splade_roberta_relu(folder):
    return sparse(folder, roberta(tf.RobertaForMaskedLM, hidden_act="relu"))


# ---- token vectors ------------------------------------------------------------------

def late(folder, texts=TEXTS + ["Mill, stone; (water)!"]):
    m = MultiVectorEncoder(str(folder), device="cpu").eval()
    return [({"text": x, "role": "query"}, numbers(m.encode_query([x])[0]), None) for x in texts] + [
        ({"text": x, "role": "document"}, numbers(m.encode_document([x])[0]), None) for x in texts]


def marked_tokenizer(make, names, added):
    t = make()
    if added:
        t.add_tokens(names)
    return t


def first_authors(folder, metadata, names=("[unused0]", "[unused1]")):
    t = bert_tokenizer()
    t.add_tokens(list(names))
    model = bert(tf.BertModel, vocab=len(t))
    model.save_pretrained(folder)
    t.save_pretrained(folder)
    # In a real one the markers are pieces of the vocabulary, not added tokens.
    data = json.loads((folder / "tokenizer.json").read_text())
    for a in data["added_tokens"][5:]:
        data["model"]["vocab"][a["content"]] = a["id"]
    data["added_tokens"] = data["added_tokens"][:5]
    (folder / "tokenizer.json").write_text(json.dumps(data))
    s = {"bert." + k: v for k, v in load_file(folder / "model.safetensors").items()}
    s["linear.weight"] = torch.randn(8, 16, generator=torch.Generator().manual_seed(4))
    save_file(s, folder / "model.safetensors", metadata={"format": "pt"})
    edit(folder, "config.json", lambda c: c.update(architectures=["HF_ColBERT"]))
    if metadata is not None:
        (folder / "artifact.metadata").write_text(json.dumps(metadata))
    return late(folder)


@case
def colbert_artifact(folder):
    return first_authors(folder, {"query_maxlen": 24, "doc_maxlen": 30, "attend_to_mask_tokens": False,
                                  "mask_punctuation": True, "query_token_id": "[unused0]",
                                  "doc_token_id": "[unused1]", "dim": 8, "similarity": "cosine"})


@case
def colbert_artifact_attend(folder):
    return first_authors(folder, {"query_maxlen": 20, "doc_maxlen": 25, "attend_to_mask_tokens": True,
                                  "mask_punctuation": False})


@case
def colbert_artifact_none(folder):
    return first_authors(folder, None)


@case
def colbert_artifact_names(folder):
    return first_authors(folder, {"query_token_id": "[unused7]", "doc_token_id": "[unused9]", "query_maxlen": 16},
                         ("[unused7]", "[unused9]"))


def pylate(folder, keys, make=bert_tokenizer, model=None, names=("[Q] ", "[D] "), dense=None, drop=()):
    t = make()
    t.add_tokens(list(names))
    base = folder.parent / (folder.name + "-base")
    model = model or bert(tf.BertModel, vocab=len(t))
    model.resize_token_embeddings(len(t))
    widen(model)
    model.save_pretrained(base)
    t.save_pretrained(base)
    dense = dense or widen(Dense(16, 8, bias=False, activation_function=torch.nn.Identity()))
    m = SentenceTransformer(modules=[Transformer(str(base)), dense], device="cpu")
    m.save(str(folder))
    shutil.rmtree(base)

    def change(c):
        c[0]["type"] = "sentence_transformers.models.Transformer"
        c[1]["type"] = "pylate.models.Dense.Dense"
    edit(folder, "modules.json", change)

    def old_dense(c):
        for k in ("module_input_name", "module_output_name"):
            c.pop(k, None)
    edit(folder, "1_Dense/config.json", old_dense)
    all_keys = {"model_type": "ColBERT", "query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 24,
                "document_length": 30, "attend_to_expansion_tokens": False,
                "skiplist_words": list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), "prompts": {},
                "default_prompt_name": None, "similarity_fn_name": "MaxSim"} | keys
    (folder / "config_sentence_transformers.json").write_text(json.dumps(
        {k: v for k, v in all_keys.items() if k not in drop}))
    return late(folder)


@case
def pylate_plain(folder):
    return pylate(folder, {})


@case
def pylate_attend(folder):
    return pylate(folder, {"attend_to_expansion_tokens": True})


@case
def pylate_no_expansion(folder):
    return pylate(folder, {"do_query_expansion": False})


@case
def pylate_defaults(folder):
    return pylate(folder, {}, drop=("query_length", "document_length", "skiplist_words",
                                    "attend_to_expansion_tokens"))


@case
def pylate_skip(folder):
    return pylate(folder, {"skiplist_words": ["mill", "the", "zzz"]})


@case
def pylate_modern(folder):
    t = modern_tokenizer()
    return pylate(folder, {"query_length": 20}, make=modern_tokenizer, model=modern(tf.ModernBertModel, vocab=len(t)))


@case
def pylate_unknown_prefix(folder):
    """Prefixes that the tokenizer does not know are text."""
    return pylate(folder, {"query_prefix": "query: ", "document_prefix": "mill "})


@case
def pylate_bare_names(folder):
    return pylate(folder, {"query_prefix": "[Q]", "document_prefix": "[D]"}, names=("[Q]", "[D]"))


@case
def pylate_prompts(folder):
    pylate(folder, {"prompts": {"query": "the mill ", "document": "a stone "}})
    return Refused("query_prefix")


@case
def pylate_deberta(folder):
    t = bert_tokenizer()
    return pylate(folder, {"attend_to_expansion_tokens": True}, model=deberta(tf.DebertaV2Model, vocab=len(t)))


@case
def pylate_deberta_unseen(folder):
    t = bert_tokenizer()
    pylate(folder, {}, model=deberta(tf.DebertaV2Model, vocab=len(t)))
    return Refused("query_expansion")


@case
def mv_native(folder):
    base = folder.parent / (folder.name + "-base")
    save_both(bert(tf.BertModel), base)
    dense = widen(Dense(16, 8, bias=True, activation_function=torch.nn.Tanh(), module_input_name="token_embeddings"))
    m = MultiVectorEncoder(modules=[Transformer(str(base), document_length=30, query_length=12), dense,
                                    MultiVectorMask(skiplist_words=[".", ","], skiplist_tasks=["query", "document"]),
                                    Normalize(module_input_name="token_embeddings")],
                           prompts={"query": "mill ", "document": ""}, device="cpu")
    m.save(str(folder))
    shutil.rmtree(base)
    return late(folder)


# ---- the comparison -----------------------------------------------------------------

def run(name, build, work):
    folder = work / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    want = CASES[name](folder)
    if isinstance(want, tuple):
        want = want[1]
    qnm = work / "models" / f"{name}.qnm"
    done = subprocess.run([str(build / "quern"), "model", "import", str(folder), "--name", name, "--dtype", "f32",
                           "--data", str(work), "--quiet"], capture_output=True, check=False, text=True)
    said = (done.stderr + done.stdout).strip()
    if isinstance(want, Refused):
        good = done.returncode != 0 and want.words in said
        return good, f"refused: {said[:150]}" if done.returncode else "NOT REFUSED"
    if done.returncode:
        return False, f"REFUSED: {said[:220]}"
    lines = "".join(json.dumps(r) + "\n" for r, _, _ in want)
    got = subprocess.run([str(build / "tests/unit/nn_texts"), str(qnm)], input=lines, capture_output=True,
                         check=False, text=True)
    if got.returncode:
        return False, f"NOT OPENED: {got.stderr.strip()[:200]}"
    answers = [json.loads(x) for x in got.stdout.splitlines()[1:]]
    worst, top, at = 0.0, 0.0, None
    for (request, values, score), answer in zip(want, answers):
        if "error" in answer:
            return False, f"{request}: {answer['error']}"
        values = values.reshape(-1)
        if len(answer["values"]) != values.size:
            return False, f"{request}: {answer['shape']}, not {values.size} numbers"
        off = numpy.abs(numpy.array(answer["values"]) - values).max() if values.size else 0.0
        if score is not None:
            off = max(off, abs(answer["score"] - score))
        top = max(top, numpy.abs(values).max() if values.size else 0.0)
        if off > worst:
            worst, at = off, request
    good = worst <= 5e-5 * max(1.0, top)
    return good, f"{worst:.1e} of {top:.2f}" + ("" if good else f" at {str(at)[:80]}")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("--only", default="")
    p.add_argument("--work", type=pathlib.Path)
    p.add_argument("--keep", action="store_true")
    p.add_argument("--quiet", action="store_true", help="only what is wrong")
    args = p.parse_args()
    torch.set_num_threads(1)
    names = [n for n in CASES if any(part in n for part in args.only.split(","))]
    bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        work = args.work or pathlib.Path(scratch)
        for name in names:
            try:
                good, what = run(name, args.build, work)
            except Exception as e:  # the library itself: the case is wrong
                good, what = False, f"CASE: {type(e).__name__}: {str(e)[:200]}"
            bad += not good
            if not (good and args.quiet):
                print(f"{'ok ' if good else 'BAD'} {name:32} {what}", flush=True)
            if not args.keep:
                shutil.rmtree(work / name, ignore_errors=True)
    print(f"{len(names)} cases, {bad} bad")
    sys.exit(1 if bad else 0)


main()
