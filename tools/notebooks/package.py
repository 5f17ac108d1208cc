"""The folders and archives of the plain edition: notebooks, the library's wheel, data, a page of contents."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat
import yaml
from nbformat.v4 import new_markdown_cell, new_notebook

from . import ROOT
from .edition import BOOK, CONTENTS, METADATA, VARIANTS, Edition

OLDEST = 315532800  # 1 January 1980, the oldest date that an archive can hold; the same input gives the same bytes

LICENCES = "Code: BSD 3-Clause, see `LICENSE`. Text and figures: CC BY 4.0, see `LICENSE-text`."

README = f"""# {BOOK}

The chapters as notebooks, {{}}. Open `{CONTENTS}` in Jupyter or VS Code, with Python 3.11 or newer; for
instance, in this folder,

    python3 -m venv environment
    . environment/bin/activate            (Windows: environment\\Scripts\\activate)
    pip install jupyterlab
    jupyter-lab {CONTENTS}

The first code cell of each notebook installs the library `bwlib` from this folder, if it is not installed yet, and
what it needs from the Python package index.

{LICENCES}
"""


def public_address() -> str:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return config["repository"]["url"]


def build_wheel(folder: Path) -> Path:
    """Build the library in a copy of its sources."""
    with tempfile.TemporaryDirectory() as copy:
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copy)
        shutil.copytree(ROOT / "bwlib", Path(copy) / "bwlib", ignore=shutil.ignore_patterns("__pycache__"))
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--no-build-isolation", "--wheel-dir", str(folder), copy]
        subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(OLDEST)})
    return next(folder.glob("bwlib-*.whl"))


def write(edition: Edition, wheel: Path, variant: str, folder: Path):
    """All files of one variant."""
    (folder / "data").mkdir(parents=True)
    for page in edition.pages:
        nbformat.write(edition.notebook(page, variant), folder / f"{page.path.stem}.ipynb")
    for path in sorted((ROOT / "chapters" / "data").iterdir()):
        shutil.copy(path, folder / "data")
    for path in (wheel, ROOT / "LICENSE", ROOT / "LICENSE-text"):
        shutil.copy(path, folder)
    nbformat.write(contents(edition, variant), folder / CONTENTS)
    (folder / "README.md").write_text(README.format(VARIANTS[variant]), encoding="utf-8")


def contents(edition: Edition, variant: str) -> nbformat.NotebookNode:
    stems = [page.path.stem for page in edition.pages]
    lines = "\n".join(f"- [{edition.numbers.titles[stem]}]({stem}.ipynb)" for stem in stems)
    text = f"# {BOOK}\n\nNotebooks {VARIANTS[variant]}.\n\n{lines}\n\n{LICENCES}"
    return new_notebook(cells=[new_markdown_cell(text, id="c000")], metadata=METADATA)


def pack(folder: Path) -> Path:
    """An archive of a folder, beside it."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder.parent).as_posix())
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, file.read_bytes())
    return path
