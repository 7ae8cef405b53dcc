#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the work of bench_rerank: pairs a second at an exact length.

    pip install onnxruntime onnx torch transformers
    python3 bench/peers/ort_rerank.py FOLDER [tokens, 128] [threads, 2] [seconds, 3]

FOLDER is the Hugging Face folder of a BERT reranker with one label. It is exported with
torch, its graph fused by ONNX Runtime's own optimizer for BERT, and for int8 quantised
dynamically: weights per channel, activations per tensor, as its documentation advises.
32 pairs of exactly `tokens` tokens, so that no padding is needed, in batches of 1, 2, 8
and 32: the best counts. "cpu" rates are by the CPU time of the process with one thread.
Prints JSON lines like bench_rerank's; run both in the same minutes.
"""
import json
import pathlib
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from transformers import AutoModelForSequenceClassification

PAIRS = 32


class Logit(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask,
                          token_type_ids=token_type_ids).logits


def export(folder, work):
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.ones(2, 16, dtype=torch.long)
    axes = {n: {0: "batch", 1: "tokens"} for n in
            ("input_ids", "attention_mask", "token_type_ids")}
    plain = work / "plain.onnx"
    torch.onnx.export(Logit(model), (ids, ids, torch.zeros_like(ids)), str(plain),
                      input_names=list(axes), output_names=["logit"], dynamic_axes=axes,
                      opset_version=17, dynamo=False)
    config = model.config
    fused = optimizer.optimize_model(str(plain), model_type="bert",
                                     num_heads=config.num_attention_heads,
                                     hidden_size=config.hidden_size, opt_level=1)
    print(json.dumps({"fused": fused.get_fused_operator_statistics()}), file=sys.stderr)
    fused.save_model_to_file(str(work / "f32.onnx"))
    quantize_dynamic(str(work / "f32.onnx"), str(work / "int8.onnx"), per_channel=True,
                     reduce_range=False, weight_type=QuantType.QInt8,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
    return {"f32": work / "f32.onnx", "int8": work / "int8.onnx"}


def measure(path, tokens, threads, batch, seconds):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    ids = rng.integers(1000, 30000, (PAIRS, tokens), dtype=np.int64)
    ids[:, 0], ids[:, 13], ids[:, -1] = 101, 102, 102
    types = np.zeros_like(ids)
    types[:, 14:] = 1
    mask = np.ones_like(ids)

    def once():
        for at in range(0, PAIRS, batch):
            part = slice(at, at + batch)
            session.run(None, {"input_ids": ids[part], "attention_mask": mask[part],
                               "token_type_ids": types[part]})

    once()
    wall = cpu = float("inf")
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        w, c = time.monotonic(), time.process_time()
        once()
        wall, cpu = min(wall, time.monotonic() - w), min(cpu, time.process_time() - c)
    return PAIRS / wall, PAIRS / cpu


def main():
    folder = sys.argv[1]
    tokens = int(sys.argv[2]) if len(sys.argv) > 2 else 128
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 3.0
    with tempfile.TemporaryDirectory() as work:
        for dtype, path in export(folder, pathlib.Path(work)).items():
            for n in sorted({1, threads}):
                rates = [measure(path, tokens, n, b, seconds / 4) for b in (1, 2, 8, 32)]
                wall, cpu = max(r[0] for r in rates), max(r[1] for r in rates)
                print(json.dumps({"bench": "rerank", "engine": "onnxruntime " + ort.__version__,
                                  "model": pathlib.Path(folder).name, "dtype": dtype,
                                  "tokens": tokens, "threads": n,
                                  "per_second_wall": round(wall, 1),
                                  "per_core_second_cpu": round(cpu, 1)}), flush=True)


main()
