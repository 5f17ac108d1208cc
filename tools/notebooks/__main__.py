"""Write the plain edition.

    python -m notebooks BUILT_BOOK FOLDER      (from the folder tools)

The numbers come from the built book, the folder that holds its index.html.
"""
from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import book_repository

from .citations import Bibliography
from .edition import VARIANTS, Edition
from .numbers import Numbers
from .package import build_wheel, pack, public_address, write


def main(html: Path, folder: Path):
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as place:
        wheel = build_wheel(Path(place))
        edition = Edition(book_repository.plain_pages(), Numbers.of_book(html), Bibliography(), wheel.name, public_address())
        for variant in VARIANTS:
            write(edition, wheel, variant, folder / variant)
            archive = pack(folder / variant)
            print(f"{len(edition.pages)} notebooks {VARIANTS[variant]}: {folder / variant}, "
                  f"{archive.name} ({archive.stat().st_size / 1e6:.1f} MB)")
    if edition.repository:  # Binder reads it when the folder is pushed as a branch of the repository
        (folder / "requirements.txt").write_text(f"jupyterlab\n./complete/{wheel.name}[book]\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
