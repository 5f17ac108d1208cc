"""Run the plain notebooks as their readers do: from the unpacked archives, in a new environment.

    python -m notebooks.run FOLDER      (the folder that `make notebooks` wrote)

The environment holds nothing but a Jupyter kernel; the first notebook installs the library from its folder.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from .edition import VARIANTS


def environment(folder: Path) -> Path:
    """A new virtual environment with a kernel; returns its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "ipykernel"], check=True)
    return python


def install_kernel(place: Path, python: Path | str, pythonpath: str = ""):
    """A kernel called "plain" that sees no packages but those of this Python and this path; JUPYTER_PATH is ``place``."""
    folder = place / "kernels" / "plain"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"],
        "display_name": "plain", "language": "python",
        "env": {"PYTHONPATH": pythonpath, "PYTHONNOUSERSITE": "1"}}))


def run(path: Path) -> nbformat.NotebookNode:
    """The notebook with its new outputs; raises CellExecutionError."""
    nb = nbformat.read(path, as_version=4)
    return NotebookClient(nb, kernel_name="plain", timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()


def main(folder: Path) -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        install_kernel(place, environment(place / "environment"))
        os.environ["JUPYTER_PATH"] = str(place)
        for variant in VARIANTS:
            zipfile.ZipFile(folder / f"{variant}.zip").extractall(place)
            for path in sorted((place / variant).glob("*.ipynb")):
                start = time.perf_counter()
                try:
                    run(path)
                except CellExecutionError as error:
                    failed += 1
                    print(f"{variant}/{path.name}: FAILED\n{error}", file=sys.stderr, flush=True)
                else:
                    print(f"{variant}/{path.name}: {time.perf_counter() - start:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
