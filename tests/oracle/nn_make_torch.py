#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/nn/torch: files as PyTorch writes them, and files as an attacker does.

    pip install torch transformers safetensors
    python3 tests/oracle/nn_make_torch.py tests/golden/nn

state.bin, script.pt: tensors of every stored type, views, shared storages, in a
dictionary and in a TorchScript module; state.json says what is in both. embed.bin and
embed.pt are the weights of tiny-embed in these two forms. The rest must be refused; what
would show that one of them was executed is a file called PWNED in the working folder.
"""
import collections
import json
import os
import pathlib
import pickle
import sys
import zipfile

import torch
from safetensors.torch import load_file
from torch import nn


def tensors():
    g = torch.Generator().manual_seed(5)
    big = torch.randn(6, 4, generator=g)
    return collections.OrderedDict([
        ("layer.weight", torch.randn(3, 4, generator=g)),
        ("layer.f16", torch.randn(2, 3, generator=g).half()),
        ("layer.bf16", torch.randn(5, generator=g).bfloat16()),
        ("ids", torch.arange(4)),
        ("view", big[2:4]),          # an offset into a storage that is shared
        ("tied", big),
        ("row", big[1:2, :]),
        ("scalar", torch.tensor(-1.5)),
        ("none", torch.zeros(0, 7)),
        ("param", nn.Parameter(torch.tensor([0.25, -2.0]))),
    ])


class Evil:
    def __init__(self, f, *args):
        self.f, self.args = f, args

    def __reduce__(self):
        return self.f, self.args


def repack(source, target, change=None, compress=(), extra=()):
    """The same archive with one entry's bytes changed, some compressed, some added."""
    with zipfile.ZipFile(source) as a, zipfile.ZipFile(target, "w") as b:
        for i in a.infolist():
            data = a.read(i)
            if change and i.filename.endswith(change[0]):
                data = change[1](data)
            kind = zipfile.ZIP_DEFLATED if i.filename.endswith(tuple(compress) or ("\0",)) \
                else zipfile.ZIP_STORED
            b.writestr(zipfile.ZipInfo(i.filename), data, kind)
        for name, data in extra:
            b.writestr(zipfile.ZipInfo(name), data)


class Inner(nn.Module):
    def __init__(self, t):
        super().__init__()
        self.weight = nn.Parameter(t["layer.weight"])
        self.f16 = nn.Parameter(t["layer.f16"])
        self.bf16 = nn.Parameter(t["layer.bf16"])

    def forward(self, x):
        return x @ self.weight.t()


class Model(nn.Module):
    def __init__(self, t):
        super().__init__()
        self.layer = Inner(t)
        self.param = t["param"]
        for name in ("ids", "view", "tied", "row", "scalar", "none"):
            self.register_buffer(name, t[name])

    def forward(self, x):
        return self.layer(x)


class Wrapper(nn.Module):
    def __init__(self, m):
        super().__init__()
        self.model = m

    def forward(self, x):
        return self.model(x)


def tiny_embed(folder, out):
    """The two forms of the weights that tiny-embed has as safetensors."""
    weights = load_file(folder / "tiny-embed" / "model.safetensors")
    torch.save(weights, out / "embed.bin")

    class Node(nn.Module):
        def forward(self, x):
            return x

    root = Node()
    for name, t in weights.items():
        at = root
        *path, last = name.split(".")
        for part in path:
            if not hasattr(at, part):
                setattr(at, part, Node())
            at = getattr(at, part)
        at.register_buffer(last, t)
    torch.jit.trace(Wrapper(root), torch.zeros(1)).save(out / "embed.pt")


def main():
    folder = pathlib.Path(sys.argv[1])
    out = folder / "torch"
    out.mkdir(parents=True, exist_ok=True)
    t = tensors()
    torch.save(t, out / "state.bin")
    torch.jit.script(Wrapper(Model(t))).save(out / "script.pt")
    expected = {k: {"shape": list(v.shape), "values": [float(x) for x in v.flatten()]}
                for k, v in t.items()}
    (out / "state.json").write_text(json.dumps(expected, indent=1) + "\n")
    tiny_embed(folder, out)

    w = {"w": torch.ones(2)}
    torch.save(w, out / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"a": torch.zeros(1), "x": Evil(os.system, "touch PWNED")}, out / "system.bin")
    torch.save({"x": Evil(eval, "open('PWNED','w')")}, out / "eval.bin")
    torch.save({"x": Evil(getattr, "abc", "upper")}, out / "getattr.bin")
    grid = torch.arange(12.0).view(3, 4)
    torch.save({"columns": torch.arange(6.0).view(2, 3).t(), "gaps": grid[:, ::2],
                "corner": grid.t()[2:, 1:], "ids": torch.arange(6).view(2, 3).t(),
                "double": torch.tensor([[0.1, -2.5, 1e-20]], dtype=torch.float64)},
               out / "strides.bin")
    torch.save({"w": torch.arange(6.0).view(2, 3).t()}, out / "columns.bin")
    # Strides of (1, 3) become (1, 200).
    repack(out / "columns.bin", out / "beyond.bin",
           change=("data.pkl", lambda d: d.replace(b"K\x01K\x03\x86", b"K\x01K\xc8\x86")))
    (out / "columns.bin").unlink()
    torch.save({"w": torch.ones(1).expand(1000)}, out / "expanded.bin")
    torch.save({"w": torch.ones(2, dtype=torch.complex64)}, out / "complex.bin")
    torch.save(nn.Linear(2, 2), out / "module.bin")
    torch.save({"w": torch.tensor([1.0, float("nan")])}, out / "nan.bin")
    torch.save({}, out / "empty.bin")
    torch.save({"w": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)},
               out / "quantised.bin")
    torch.jit.freeze(torch.jit.script(Wrapper(Model(t)).eval())).save(out / "frozen.pt")
    m = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)), {nn.Linear},
                                               dtype=torch.qint8)
    torch.jit.script(m).save(out / "packed.pt")
    torch.save(w, out / "plain.bin")
    repack(out / "plain.bin", out / "compressed.bin", compress=["data/0"])
    repack(out / "plain.bin", out / "pickled.bin", compress=["data.pkl"])
    repack(out / "plain.bin", out / "big.bin", change=("byteorder", lambda d: b"big"))
    repack(out / "plain.bin", out / "short.bin", change=("data/0", lambda d: d[:4]))
    repack(out / "plain.bin", out / "twice.bin", extra=[("other/data.pkl", b"}.")])
    repack(out / "plain.bin", out / "outside.bin", extra=[("plain/../../x", b"")])
    # Sixty dictionaries, each holding the one before it twice: 2^60 names.
    text = b"\x80\x02}(X\x01\x00\x00\x00z}q\x00"
    for i in range(1, 60):
        again = b"h" + bytes([i - 1])
        text += b"X\x01\x00\x00\x00z}q" + bytes([i]) + b"(X\x01\x00\x00\x00a" + again \
            + b"X\x01\x00\x00\x00b" + again + b"u"
    repack(out / "plain.bin", out / "laughs.bin", change=("data.pkl", lambda d: text + b"u."))
    itself = b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."
    repack(out / "plain.bin", out / "itself.bin", change=("data.pkl", lambda d: itself))
    (out / "plain.bin").unlink()


if __name__ == "__main__":
    main()
