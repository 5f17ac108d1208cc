"""Put the built pages (and the PDF, if there is one) into one zip file that opens without a network.

    python tools/offline_zip.py

Unpack _build/generative-deep-linear-networks.zip anywhere, a memory stick for instance, and open index.html.
The same pages give the same file: names are sorted and dates fixed.
"""
from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
FOLDER = "generative-deep-linear-networks"
NOT_NEEDED = (".buildinfo", ".doctrees")
README = "Open index.html in a browser. No network and no installation is needed.\r\n"
FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]|[ .]$|^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$', re.I)
LONGEST = 180  # characters of a path; Windows allows 260, the folder the reader chooses included


def bad_names(names: list[str]) -> list[str]:
    """What Windows or a FAT file system would not take."""
    bad = [name for name in names if len(name) > LONGEST or any(FORBIDDEN.search(part) for part in name.split("/"))]
    by_case: dict[str, list[str]] = {}
    for name in names:
        by_case.setdefault(name.lower(), []).append(name)
    return bad + [name for same in by_case.values() if len(same) > 1 for name in same]


def pack(html: Path, target: Path, date: tuple[int, int, int]) -> None:
    found = {f"{FOLDER}/{p.relative_to(html).as_posix()}": p for p in html.rglob("*")
             if p.is_file() and not set(NOT_NEEDED) & set(p.relative_to(html).parts)}
    if bad := bad_names(list(found)):
        raise ValueError(f"names that Windows does not allow: {', '.join(bad)}")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted([*found, f"{FOLDER}/README.txt"]):
            entry = zipfile.ZipInfo(name, (*date, 0, 0, 0))
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
            archive.writestr(entry, found[name].read_bytes() if name in found else README)


def main() -> None:
    if not (HTML / "index.html").exists():
        sys.exit("There are no pages yet: run  make book")
    edition = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["date-released"]
    target = ROOT / "_build" / f"{FOLDER}.zip"
    pack(HTML, target, tuple(map(int, edition.split("-"))))
    has_pdf = any(HTML.glob("*.pdf"))
    print(f"The offline book is ready: {target}  ({target.stat().st_size / 1e6:.1f} MB, "
          f"{'with' if has_pdf else 'without'} the PDF{'' if has_pdf else ': make pdf adds it'})")


if __name__ == "__main__":
    main()
