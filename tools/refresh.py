"""Run notebooks from top to bottom and store their outputs in one normal form.

    python tools/refresh.py [chapters/02_bures_wasserstein.ipynb ...]

Without arguments: all notebooks of the book.  Pictures that did not visibly change keep their
stored bytes, and a notebook that did not change is not written.
"""
from __future__ import annotations

import argparse
import base64
import io
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
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


def refresh(path: Path) -> bool:
    """Run one notebook; True when the file changed.  A failing notebook is left as it was."""
    nb = nbformat.read(path, as_version=4)
    old = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    NotebookClient(nb, timeout=120, kernel_name="python3", record_timing=False, skip_cells_with_tag="nbval-skip",
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    keep_old_pictures(old, nb)
    text = nbformat.writes(normalise(nb), version=4) + "\n"
    changed = text != path.read_text(encoding="utf-8")
    if changed:
        path.write_text(text, encoding="utf-8")
    print(f"{path.name}: {'changed' if changed else 'the same'}, {time.perf_counter() - start:.1f} s", flush=True)
    return changed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    chosen = parser.parse_args().notebooks or sorted((ROOT / "chapters").glob("*.ipynb"))
    failed = 0
    for path in chosen:
        try:
            refresh(path.resolve())
        except CellExecutionError as error:
            failed += 1
            print(f"{path.name}: FAILED, left as it was\n{error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
