#!/usr/bin/env python3
"""Reading order: how near Squall's page text comes to the text as a person reads it.

    python benches/columns.py --squall target/release/squall [FOLDER...] [--list LIST.tsv]

Takes each PDF that has a .txt beside it, below the folders (fixtures/columns if none are named and no
list), and the pages of a list with the columns PDF, page from 1, text file. Needs Debian's poppler-utils,
for comparison: `pdftotext` sorts by position, `pdftotext -raw` keeps the order in which the page draws.

Similarity is difflib's ratio of the two sequences of words (of CJK text: characters), 1 if all are there in
the same order. Page numbers and running headers are in no text file, so that 1 may be out of reach.
"""

import argparse
import statistics
from difflib import SequenceMatcher
from pathlib import Path

from pdf_text import pdftotext, squall, words

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures/columns"


def pages(folders, lists):
    """PDF, page from 1 or None for all, and the true text."""
    for folder in folders:
        for path in sorted(folder.rglob("*.pdf")):
            if path.with_suffix(".txt").exists():
                yield path, None, path.with_suffix(".txt").read_text()
    for table in lists:
        for line in table.read_text().splitlines():
            path, number, text = line.split("\t")
            yield table.parent / path, int(number), (table.parent / text).read_text()


def similarity(texts, number, truth):
    text = "\n".join(texts) if number is None else "".join(texts[number - 1:number])
    return SequenceMatcher(None, words(text), words(truth), autojunk=False).ratio()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--squall", metavar="PATH", help="Squall's binary; without it, pdftotext only")
    parser.add_argument("--list", metavar="LIST.tsv", dest="lists", action="append", type=Path, default=[])
    parser.add_argument("folders", metavar="FOLDER", nargs="*", type=Path)
    given = parser.parse_args()
    readers = {"pdftotext": pdftotext, "-raw": lambda path: pdftotext(path, "-raw")}
    if given.squall:
        readers = {"squall": lambda path: squall(given.squall, path), **readers}
    folders = given.folders or ([] if given.lists else [FIXTURES])
    rows = []
    print(*(f"{name:>9}" for name in readers))
    for path, number, truth in pages(folders, given.lists):
        rows.append([similarity(reader(path), number, truth) for reader in readers.values()])
        place = path.name if number is None else f"{path.name} p. {number}"
        print(*(f"{value:9.4f}" for value in rows[-1]), f" {place}", flush=True)
    print(*(f"{statistics.mean(column):9.4f}" for column in zip(*rows)), f"  mean of {len(rows)}")


if __name__ == "__main__":
    main()
