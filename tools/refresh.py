"""Run notebooks from top to bottom and store their outputs in one normal form.

    python tools/refresh.py [chapters/02_bures_wasserstein.ipynb ...]

Without arguments: all notebooks of the book.  Pictures that did not visibly change keep their
stored bytes, and a notebook that did not change is not written.  How long each notebook took, where
and with which versions goes to chapters/run_times.json, for the page on reproducibility.
"""
from __future__ import annotations

import argparse
import base64
import io
import json
import os
import platform
import re
import sys
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ROOT / "chapters"
RUN_TIMES = CHAPTERS / "run_times.json"
PACKAGES = ("numpy", "scipy", "matplotlib", "joblib", "scikit-learn", "ipykernel", "nbclient")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("PYTHONHASHSEED", "0")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))

import nbformat  # noqa: E402
from nbclient import NotebookClient  # noqa: E402
from nbclient.exceptions import CellExecutionError  # noqa: E402


def same_picture(a: str, b: str) -> bool:
    import numpy as np
    from PIL import Image

    a, b = (np.asarray(Image.open(io.BytesIO(base64.b64decode(x))).convert("RGB"), float) for x in (a, b))
    return a.shape == b.shape and abs(a - b).max() <= 8


def keep_old_pictures(old, new) -> None:
    by_source = {c.source: c for c in old.cells if c.cell_type == "code"}
    for cell in new.cells:
        before = by_source.get(cell.source) if cell.cell_type == "code" else None
        if before is None or len(before.outputs) != len(cell.outputs):
            continue
        for o, n in zip(before.outputs, cell.outputs):
            for key in set(o.get("data", {})) & set(n.get("data", {})):
                if key.endswith("image/png") and same_picture(o.data[key], n.data[key]):
                    n.data[key] = o.data[key]


def merge_streams(outputs):
    """Consecutive pieces of one stream become one: how they were cut depends on timing."""
    merged = []
    for out in outputs:
        if merged and out.output_type == "stream" == merged[-1].output_type and out.name == merged[-1].name:
            merged[-1].text += out.text
        else:
            merged.append(out)
    return merged


def normalise(nb):
    nb.metadata = nbformat.from_dict({
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    })
    nb.nbformat, nb.nbformat_minor = 4, 5
    count = 0
    for i, cell in enumerate(nb.cells):
        cell["id"] = f"c{i:03d}"
        for key in ("execution", "collapsed", "scrolled", "ExecuteTime", "jupyter", "editable", "slideshow"):
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            continue
        skip = "nbval-skip" in cell.metadata.get("tags", []) or not cell.source.strip()
        count += not skip
        cell.execution_count = None if skip else count
        cell.outputs = merge_streams(cell.outputs)
        for out in cell.outputs:
            if out.output_type == "execute_result":
                out.execution_count = count
    return nb


def refresh(path: Path) -> float:
    """Run one notebook, store it if it changed, and return the seconds it took.  A failing notebook is left as it was."""
    nb = nbformat.read(path, as_version=4)
    old = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    NotebookClient(nb, timeout=120, kernel_name="python3", record_timing=False, skip_cells_with_tag="nbval-skip",
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    seconds = time.perf_counter() - start
    keep_old_pictures(old, nb)
    text = nbformat.writes(normalise(nb), version=4) + "\n"
    changed = text != path.read_text(encoding="utf-8")
    if changed:
        path.write_text(text, encoding="utf-8")
    print(f"{path.name}: {'changed' if changed else 'the same'}, {seconds:.1f} s", flush=True)
    return seconds


def processor() -> str:
    """Maker and family of the processor, without its number."""
    try:
        named = re.search(r"^model name\s*:(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    except OSError:
        named = None
    words = re.sub(r"\(\w+\)|@", " ", named[1] if named else platform.machine()).split()
    return " ".join(word for word in words if not re.search(r"\d|CPU|Processor", word)) or platform.machine()


def surroundings() -> str:
    """Where the notebooks run, in one sentence."""
    versions = [f"{name} {metadata.version(name)}" for name in PACKAGES]
    return (f"{processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}; "
            + ", ".join(versions))


def record(seconds: dict[str, float]) -> None:
    """Store the run times of some notebooks; those of the others stay, as long as these exist."""
    stored = json.loads(RUN_TIMES.read_text(encoding="utf-8")) if RUN_TIMES.exists() else {}
    stored |= {name: {"seconds": round(taken, 1), "where": surroundings()} for name, taken in seconds.items()}
    kept = {name: stored[name] for name in sorted(stored) if (CHAPTERS / name).exists()}
    RUN_TIMES.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    chosen = parser.parse_args().notebooks or sorted(CHAPTERS.glob("*.ipynb"))
    failed, seconds = 0, {}
    for path in map(Path.resolve, chosen):
        try:
            taken = refresh(path)
            if path.parent == CHAPTERS:
                seconds[path.name] = taken
        except CellExecutionError as error:
            failed += 1
            print(f"{path.name}: FAILED, left as it was\n{error}", file=sys.stderr, flush=True)
    record(seconds)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
