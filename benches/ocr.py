#!/usr/bin/env python3
"""How well scans are read: Squall against tesseract alone, on pages whose text is known.

    pip install pymupdf rapidfuzz                        (and Debian's tesseract-ocr, tesseract-ocr-kor)
    python benches/ocr.py --squall target/release/squall FILE.pdf [--pages 5,20,40] [--dpi 300]

Draws pages of a PDF, throws their text away, and has the pictures read: by `tesseract -l kor+eng`, and by
`squall inspect` as a PDF that holds only them. The error rate is the edit distance to the PDF's own text over
its length, blanks and the dots of tables of contents left out on both sides.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pymupdf
from rapidfuzz.distance import Levenshtein

LEADERS = re.compile(r"(?:\.\s*){4,}|…")


def errors(text, truth):
    """Character error rate, blanks and dot leaders left out."""
    text, truth = ("".join(LEADERS.sub("", each).split()) for each in (text, truth))
    return Levenshtein.distance(text, truth) / max(len(truth), 1)


def run(*command):
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout, time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--squall", default="target/release/squall")
    parser.add_argument("--pages", default="10,25,40,55,70,85,100,115")
    parser.add_argument("--dpi", type=int, default=300)
    options = parser.parse_args()
    rows = []
    with pymupdf.open(options.file) as book, tempfile.TemporaryDirectory() as folder:
        for number in map(int, options.pages.split(",")):
            page = book[number - 1]
            picture = Path(folder) / f"{number}.png"
            page.get_pixmap(dpi=options.dpi, colorspace=pymupdf.csGRAY).save(picture)
            scan = pymupdf.open()
            scan.new_page(width=page.rect.width, height=page.rect.height).insert_image(page.rect, filename=picture)
            scan.save(Path(folder) / f"{number}.pdf", deflate=True)
            alone, first = run("tesseract", picture, "-", "-l", "kor+eng", "--dpi", str(options.dpi))
            ours, second = run(options.squall, "inspect", "--pages", Path(folder) / f"{number}.pdf")
            truth = page.get_text()
            rows.append((errors(alone, truth), errors(ours, truth), first, second))
            print(f"page {number:4}  tesseract {rows[-1][0]:.4f} in {first:.1f} s, squall {rows[-1][1]:.4f} in {second:.1f} s")
    alone, ours = (statistics.mean(row[column] for row in rows) for column in (0, 1))
    print(f"mean        tesseract {alone:.4f}, squall {ours:.4f}: {ours / alone - 1:+.1%}")


if __name__ == "__main__":
    main()
