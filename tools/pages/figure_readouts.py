"""Write what the moving figures of the stored notebooks show: python figure_readouts.py target.json

For each page and figure three positions of its controls: what is read off there, and the attributes of what moves.
"""
import html
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def unpack(packed, index, full):
    """The text that ``bwlib/interactive/figure.js`` must find for a position of the controls."""
    if isinstance(packed, str):
        return packed
    if isinstance(packed, dict) and "w" in packed:
        return " ".join(unpack(word, index, full) for word in packed["w"]).rstrip()
    steps = packed.get("s", full) if isinstance(packed, dict) else full
    place = sum(step * at for step, at in zip(steps, index))
    if isinstance(packed, list):
        return str(packed[place])
    return str(packed["v"][packed["i"][place]] if "i" in packed else packed["l"][place])


def shown(page):
    """What one figure shows at the first, a middle and the last position, each with another option."""
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.S)[1])
    last = int(re.search(r'type="range" min="0" max="(\d+)"', page)[1])
    options = [group.count("<input") for group in re.findall(r"<fieldset.*?</fieldset>", page, re.S)]
    positions = []
    for number, place in enumerate((0, last // 3, last)):
        index = [*(min(number, size - 1) for size in options), place]
        drawing = [[at, name, unpack(packed, index, data["strides"])] for at, name, packed in data["moves"]]
        positions.append({"index": index, "text": unpack(data["text"], index, data["strides"]), "drawing": drawing})
    return {"id": re.search(r'id="(bw\w+)"', page)[1], "positions": positions,
            "start": html.unescape(re.search(r"<output[^>]*>(.*?)</output>", page)[1])}


def main(target):
    pages = {}
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = ["".join(out.get("data", {}).get("text/html", "")) for cell in cells for out in cell.get("outputs", [])]
        figures = [shown(page) for page in outputs if 'class="bw-fig"' in page]
        if figures:
            pages[f"chapters/{path.stem}.html"] = figures
    Path(target).write_text(json.dumps(pages, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
