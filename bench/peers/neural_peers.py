# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime and PyTorch on the work of bench/neural.py.

Each peer gets what its documentation calls best: ONNX Runtime its own transformer
optimiser (fused attention for BERT; for int8, dynamic quantisation of that graph with
weights per channel, which makes QAttention of Attention), PyTorch the attention that
transformers picks (SDPA where the model has it).
"""
import json
import pathlib
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from transformers import (AutoConfig, AutoModelForSequenceClassification, AutoTokenizer,
                          DebertaV2Config, DebertaV2ForSequenceClassification,
                          DebertaV2Tokenizer)


class Logit(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask,
                          token_type_ids=token_type_ids).logits


def make_deberta(folder, spm):
    """deberta-v3-base's shape with random weights that are not too tame: attention and
    logits move with the text."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    config = DebertaV2Config(
        vocab_size=128100, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
        intermediate_size=3072, hidden_act="gelu", max_position_embeddings=512,
        type_vocab_size=0, relative_attention=True, position_buckets=256,
        max_relative_positions=-1, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type=["p2c", "c2p"], position_biased_input=False, layer_norm_eps=1e-7,
        pad_token_id=0, pooler_hidden_size=768, pooler_hidden_act="gelu",
        initializer_range=0.04, num_labels=1)
    model = DebertaV2ForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("bias"):
                p.normal_(0, 0.02)
    DebertaV2Tokenizer.from_pretrained(str(spm)).save_pretrained(folder)
    model.save_pretrained(folder)
    if not (folder / "spm.model").exists():
        (folder / "spm.model").write_bytes((spm / "spm.model").read_bytes())


def export(folder, work):
    """{"f32": path, "int8": path}, kept in `work` for the next time."""
    paths = {"f32": work / "f32.onnx", "int8": work / "int8.onnx"}
    if all(p.exists() for p in paths.values()):
        return paths
    work.mkdir(parents=True, exist_ok=True)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.randint(1000, 20000, (2, 40))
    axes = {n: {0: "batch", 1: "tokens"} for n in
            ("input_ids", "attention_mask", "token_type_ids")}
    plain = work / "plain.onnx"
    torch.onnx.export(Logit(model), (ids, torch.ones_like(ids), torch.zeros_like(ids)),
                      str(plain), input_names=list(axes), output_names=["logit"],
                      dynamic_axes=axes, opset_version=17, dynamo=False)
    config = model.config
    fused = optimizer.optimize_model(str(plain), model_type="bert",
                                     num_heads=config.num_attention_heads,
                                     hidden_size=config.hidden_size, opt_level=1)
    print(json.dumps({"fused": fused.get_fused_operator_statistics()}), file=sys.stderr)
    fused.save_model_to_file(str(paths["f32"]))
    quantize_dynamic(str(paths["f32"]), str(paths["int8"]), per_channel=True,
                     reduce_range=False, weight_type=QuantType.QInt8,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
    plain.unlink()
    return paths


class Peer:
    """`logits(arrays)` of one padded batch is the subclass's."""

    def __init__(self, folder):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def encode(self, pairs):
        return self.tokenizer([q for q, _ in pairs], [d for _, d in pairs],
                              padding=True, truncation="longest_first", max_length=512,
                              return_token_type_ids=True, return_tensors="np")

    def prepare(self, requests, feeding, batch):
        """What timed() will run. "sorted": all pairs by their number of tokens, in
        batches, tokenised beforehand. "fed": each request by itself as
        CrossEncoder.predict does it, by length of text in batches of 32, tokenising
        included."""
        pairs = [(q, d) for q, docs in requests for d in docs]
        if feeding == "fed":
            self.work, at = [], 0
            for _, docs in requests:
                order = sorted(range(at, at + len(docs)),
                               key=lambda i: -len(pairs[i][0]) - len(pairs[i][1]))
                at += len(docs)
                self.work += [[pairs[i] for i in order[k:k + 32]]
                              for k in range(0, len(order), 32)]
            self.order = None
            return
        lengths = [len(e) for e in self.tokenizer([q for q, _ in pairs],
                                                  [d for _, d in pairs])["input_ids"]]
        self.order = sorted(range(len(pairs)), key=lambda i: lengths[i])
        self.work = [self.encode([pairs[i] for i in self.order[k:k + batch]])
                     for k in range(0, len(pairs), batch)]

    def once(self):
        return np.concatenate([self.logits(w if self.order is not None else self.encode(w))
                               for w in self.work])

    def timed(self):
        """(wall seconds, CPU seconds of the process)"""
        w, c = time.monotonic(), time.process_time()
        self.once()
        return time.monotonic() - w, time.process_time() - c

    def scores(self):
        """Of sorted work, in the order of the pairs."""
        out = np.zeros(len(self.order), np.float32)
        out[self.order] = self.once()
        return out


class OnnxRuntime(Peer):
    def __init__(self, folder, path, threads):
        super().__init__(folder)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Waiting threads sleep: else they would be charged for looking.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(str(path), options,
                                            providers=["CPUExecutionProvider"])
        self.inputs = {i.name for i in self.session.get_inputs()}

    def logits(self, batch):
        feed = {k: v.astype(np.int64) for k, v in batch.items() if k in self.inputs}
        return self.session.run(None, feed)[0][:, 0]


class Torch(Peer):
    def __init__(self, folder, threads):
        super().__init__(folder)
        self.threads = threads
        self.model = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def logits(self, batch):
        torch.set_num_threads(self.threads)
        feed = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in batch.items()}
        return self.model(**feed).logits[:, 0].numpy()
