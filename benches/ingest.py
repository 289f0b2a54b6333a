#!/usr/bin/env python3
"""A whole ingest: pages per second, where the processor's time goes, memory, and the same again.

    cargo build --release
    python benches/ingest.py FOLDER...

Ingests the PDFs below the folders and 500 made here (seeded, four pages each) into a new store, with
the built-in English and Korean model, then once more with nothing changed. Needs Linux.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SQUALL = ROOT / "target/release/squall"
DOCUMENTS, PAGES, LINES = 500, 4, 45
WORDS = ("the harbour committee approved dredging of annual ferry timetable because inspection found "
         "sediment between contractors moorings and budget for new cranes was moved to next year while "
         "licence fees pilots storage customs office keep records every quarter").split()


def pdf(seed):
    """A PDF of plain text, as simple as they come."""
    words = random.Random(seed)
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in range(PAGES):
        lines = [" ".join(words.choices(WORDS, k=13)) + f" {words.randrange(10**6)}." for _ in range(LINES)]
        text = "BT /F1 11 Tf 14 TL 50 780 Td " + " ".join(f"({line}) '" for line in lines) + " ET"
        objects.append(f"<< /Length {len(text)} >>\nstream\n{text}\nendstream")
        kids.append(len(objects) + 1)
        objects.append("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
                       f"/Contents {len(objects)} 0 R >>")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] /Count {PAGES} >>"
    out, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return out + (f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
                  f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n")


def threads(pid, seen):
    """Seconds of processor time of each thread so far."""
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            name, rest = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
            fields = rest.split()
            seen[task.name] = (name, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
    except (FileNotFoundError, ProcessLookupError):
        pass


def ingest(home, corpus, *more):
    seen, start = {}, time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen([SQUALL, "--data-dir", home, "ingest", corpus, *more, "-q"],
                               stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        threads(process.pid, seen)
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            most = max([most] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")])
        except FileNotFoundError:
            pass
        time.sleep(0.02)
    assert process.returncode in (0, 3), process.returncode
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    names = {}
    for name, spent in seen.values():
        names[name] = names.get(name, 0) + spent
    names["parser processes and rest"] = used - sum(names.values())
    return seconds, used, most, names


def main():
    with tempfile.TemporaryDirectory() as folder:
        corpus, home = Path(folder, "corpus"), Path(folder, "home")
        corpus.mkdir()
        given = [path for root in sys.argv[1:] for path in sorted(Path(root).rglob("*.pdf"))]
        for number, path in enumerate(given):
            (corpus / f"given-{number}-{path.name}").write_bytes(path.read_bytes())
        for seed in range(DOCUMENTS):
            (corpus / f"made-{seed}.pdf").write_text(pdf(seed))
        seconds, used, most, names = ingest(home, corpus, "--model", "multilingual")
        status = subprocess.run([SQUALL, "--data-dir", home, "status", "--json"], capture_output=True, check=True)
        row = json.loads(status.stdout.splitlines()[0])["collections"][0]
        cores = len(os.sched_getaffinity(0))
        print(f"{row['documents']} documents, {row['pages']} pages, {row['chunks']} chunks in {seconds:.1f} s: "
              f"{row['pages'] / seconds:.1f} pages/s, {row['chunks'] / seconds:.1f} chunks/s")
        print(f"{cores} cores {used / seconds / cores:.0%} busy, peak memory {most / 1024:.0f} MB")
        for name, spent in sorted(names.items(), key=lambda pair: -pair[1])[:8]:
            print(f"  {spent / used:6.1%}  {name}")
        again = sorted(ingest(home, corpus)[0] for _ in range(5))[2]
        print(f"the same again, nothing changed: {again:.3f} s")


main()
