#!/usr/bin/env python3
"""The text of PDF pages: what Squall reads of what other readers agree on, and how fast.

    pip install pypdfium2 pymupdf                            (and Debian's poppler-utils)
    python benches/pdf_text.py --squall target/release/squall FOLDER...

Takes the PDFs below each folder; each folder is a group of its own in the table. Without --squall it
measures the readers only. --cache DIR keeps what the readers said.

A page is a multiset of words; of Chinese, Japanese and Korean text, of characters. Agreed on is, of each
word, the second highest of three counts: pdftotext's, PDFium's and MuPDF's. Recall is the share of those
that is found, precision the share of what is found that another reader has, too. Hangul is the recall of
syllables against pdftotext. Speed is pages per second of processor time (user and system) against
`pdftotext FILE -`, the median of three rounds in turn: of one run of Squall for each file, and of one for
all of them, as an ingest is.
"""

import argparse
import functools
import hashlib
import json
import re
import resource
import statistics
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

ROUNDS, WORST, EXAMPLES = 3, 15, 8
CJK = "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u31ff\u3400-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
WORD = re.compile(f"[{CJK}]|(?:(?![{CJK}_])\\w)+")
HANGUL = re.compile("[\uac00-\ud7a3]")
# Invisible: soft hyphens, and what PDFium writes for the hyphen of a broken word.
SOFT = re.compile("(?:\u00ad|\x02|\ufffe)(?:[ \t]*\r?\n\\s*)?|[\u200b-\u200f\u2060\ufeff]")
# A hyphen inside a word, at the end of a line or not: nobody can tell which of them belong.
HYPHEN = re.compile(r"(?<=\w)[-\u2010\u2011](?:[ \t]*\r?\n\s*)?(?=\w)")


def words(text):
    """Words (of CJK text: characters) in the order of the text, alike for all readers."""
    text = unicodedata.normalize("NFKC", SOFT.sub("", text))
    return WORD.findall(HYPHEN.sub("", text))


def squall(binary, path):
    """Squall's page texts."""
    run = subprocess.run([binary, "inspect", path, "--pages", "--ocr", "off"], capture_output=True)
    if run.returncode:
        print(f"{path}: {run.stderr.decode(errors='replace').strip()[:200]}", file=sys.stderr)
        return []
    return run.stdout.decode().split("\n\f")


def pdftotext(path, *options):
    command = ["pdftotext", "-enc", "UTF-8", *options, path, "-"]
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return text.decode(errors="replace").split("\f")[:-1]


def pdfium(path):
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(path) as document:
            return [page.get_textpage().get_text_range() for page in document]
    except pypdfium2.PdfiumError:
        return []


def mupdf(path):
    import pymupdf

    pymupdf.TOOLS.mupdf_display_errors(False)
    try:
        with pymupdf.open(path) as document:
            return [page.get_text() for page in document]
    except Exception:  # of many kinds; a broken file has no pages
        return []


READERS = {"pdftotext": pdftotext, "pdfium": pdfium, "mupdf": mupdf}


def read(path, cache):
    """What each reader says, by page."""
    name = hashlib.sha256(path.read_bytes()).hexdigest()[:24] + ".json"
    if cache and (cache / name).exists():
        return json.loads((cache / name).read_text())
    said = {reader: function(path) for reader, function in READERS.items()}
    if cache:
        cache.mkdir(parents=True, exist_ok=True)
        (cache / name).write_text(json.dumps(said))
    return said


class Score:
    """Words agreed on, of them found, words of the reader, of them known; the same of syllables."""

    def __init__(self):
        self.agreed = self.found = self.own = self.known = self.syllables = self.read = 0

    def add(self, mine, agreed, union, hangul):
        self.agreed += agreed.total()
        self.found += (mine & agreed).total()
        self.own += mine.total()
        self.known += (mine & union).total()
        self.syllables += hangul.total()
        self.read += (mine & hangul).total()

    def __str__(self):
        hangul = f"{self.read / self.syllables:10.4%}" if self.syllables else f"{'-':>10}"
        return f"{self.found / max(self.agreed, 1):10.4%}{self.known / max(self.own, 1):10.4%}{hangul}"


def measure(texts):
    """For each reader of a page: its words, those agreed on, those of the others, pdftotext's Hangul."""
    counts = {reader: Counter(words(text)) for reader, text in texts.items()}
    one, two, three = (counts[reader] for reader in READERS)
    agreed = (one & two) | (one & three) | (two & three)
    hangul = Counter({word: count for word, count in one.items() if HANGUL.match(word)})
    for reader, mine in counts.items():
        union = functools.reduce(Counter.__or__, (counts[other] for other in READERS if other != reader))
        yield reader, mine, agreed, union, hangul


def quality(groups, binary, cache):
    judged = "squall" if binary else "pdftotext"
    scores, worst, pages = {group: {} for group in [*groups, "all"]}, [], Counter()
    for group, files in groups.items():
        for path in files:
            said = read(path, cache)
            if binary:
                said["squall"] = squall(binary, path)
            number = max(map(len, said.values()))
            pages[group] += number
            for reader, texts in said.items():
                if len(texts) != number:
                    print(f"{path}: {reader} has {len(texts)} of {number} pages", file=sys.stderr)
                texts += [""] * (number - len(texts))
            for at in range(number):
                for reader, mine, agreed, union, hangul in measure({name: said[name][at] for name in said}):
                    for place in (group, "all"):
                        scores[place].setdefault(reader, Score()).add(mine, agreed, union, hangul)
                    if reader == judged and (agreed - mine or mine - union):
                        worst.append((agreed - mine, mine - union, agreed.total(), path, at + 1))
    print(f"{'':12}{'recall':>10}{'precision':>10}{'Hangul':>10}")
    pages["all"] = pages.total()
    for group, rows in scores.items():
        print(f"{group}: {pages[group]} pages, {rows[judged].agreed if rows else 0} words agreed on")
        for reader, score in rows.items():
            print(f"  {reader:10}{score}")
    worst.sort(key=lambda page: -page[0].total() - page[1].total())
    print(f"\nworst pages of {judged}: missing and surplus of words agreed on")
    for missing, surplus, agreed, path, number in worst[:WORST]:
        print(f"{path.name} p. {number}: {missing.total()} and {surplus.total()} of {agreed}")
        for name, counter in (("missing", missing), ("surplus", surplus)):
            if counter:
                print(f"    {name}:", *(f"{word}*{count}" for word, count in counter.most_common(EXAMPLES)))
    return pages["all"]


def seconds(commands):
    """Seconds of processor time of all commands."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def speed(files, binary, number):
    squall = [binary, "inspect", "--pages", "--ocr", "off"]
    ratios = []
    for _ in range(ROUNDS):
        theirs = seconds(["pdftotext", path, "-"] for path in files)
        each = seconds([*squall, path] for path in files)
        at_once = seconds([[*squall, *files]])
        ratios.append((theirs / each, theirs / at_once))
        print(f"pages per CPU second: pdftotext {number / theirs:.0f}, squall {number / each:.0f}, "
              f"all files at once {number / at_once:.0f}; ratios {ratios[-1][0]:.2f}, {ratios[-1][1]:.2f}", flush=True)
    print("median ratios", *(f"{statistics.median(column):.2f}" for column in zip(*ratios)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--squall", metavar="PATH", help="Squall's binary; without it, the readers only")
    parser.add_argument("--cache", metavar="DIR", type=Path, help="keep what the readers said")
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path)
    given = parser.parse_args()
    groups = {str(folder): sorted(folder.rglob("*.pdf")) for folder in given.folders}
    number = quality(groups, given.squall, given.cache)
    if given.squall:
        speed([path for files in groups.values() for path in files], given.squall, number)


if __name__ == "__main__":
    main()
