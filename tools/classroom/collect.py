"""Find each enrolled student's submission in a folder of notebooks, folders and zip archives."""
from __future__ import annotations

import csv
import hashlib
import re
import shutil
import stat
import unicodedata
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .course import Refused

MOST_FILES, MOST_BYTES = 200, 100_000_000    # of one submission
PROVIDED = {"checks.py", "validate.py", "README.md", "requirements.txt"}


@dataclass(frozen=True)
class Student:
    id: str
    row: dict[str, str]         # the whole line of the roster


def read_roster(path: Path) -> list[Student]:
    """The enrolled students; the column ``id`` names them, all other columns are kept as they are."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = [{k: (v or "").strip() for k, v in row.items() if k} for row in reader]
            columns = reader.fieldnames or []
    except FileNotFoundError:
        raise Refused(f"There is no roster {path}: a CSV file with the column id (and first_name, last_name, email).") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"The roster {path} cannot be read as CSV in UTF-8: {error}") from None
    if "id" not in columns:
        raise Refused(f"The roster {path} needs a column id; it has {', '.join(map(str, columns)) or 'none'}.")
    seen = set()
    for line, row in enumerate(rows, start=2):
        name = row["id"]
        if not re.fullmatch(r"[^\W_][\w.@-]*", name) or len(name) > 64:
            raise Refused(f"Roster, line {line}: the id {name!r} must be letters, digits and . _ @ - only.")
        if name in seen:
            raise Refused(f"Roster, line {line}: the id {name!r} appears twice.")
        seen.add(name)
    if not rows:
        raise Refused(f"The roster {path} lists no students.")
    return [Student(row["id"], row) for row in rows]


def match(entries: list[Path], students: list[Student]) -> tuple[dict[str, list[Path]], list[Path]]:
    """Entries by student, and entries of nobody.  An entry belongs to the student whose id is a word of its name."""
    ids = {canonical(s.id): s.id for s in students}
    longest_first = "|".join(re.escape(key) for key in sorted(ids, key=len, reverse=True))
    word = re.compile(rf"(?<![^\W_])({longest_first})(?![^\W_])")
    found, loose = {s.id: [] for s in students}, []
    for entry in entries:
        name = canonical(entry.name if entry.is_dir() and not entry.is_symlink() else entry.stem)
        owners = {name} & set(ids) or set(word.findall(name))
        (found[ids[owners.pop()]] if len(owners) == 1 else loose).append(entry)
    return found, loose


def canonical(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def entries_of(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise Refused(f"There is no folder {folder} of submissions.")
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name != "__MACOSX")


def bring_in(entries: list[Path], set_name: str, box: Path) -> tuple[Path, list[Path]]:
    """Copy a student's submission into an empty folder; its notebook and its other files."""
    if len(entries) > 1:
        raise Refused("several submissions: " + ", ".join(e.name for e in entries) + "; keep one")
    entry = entries[0]
    if entry.is_symlink():
        raise Refused("the submission is a link, not a file")
    if entry.is_dir():
        copy_folder(entry, box)
    elif zipfile.is_zipfile(entry):
        unpack(entry, box)
    elif entry.suffix == ".ipynb":
        copy_files([(entry.stat().st_size, entry.name, entry)], box)
    else:
        raise Refused(f"{entry.name} is neither a notebook nor a folder nor a zip archive")
    files = sorted(p for p in box.iterdir())
    notebooks = [p for p in files if p.suffix == ".ipynb"]
    best = [p for p in notebooks if p.stem == set_name] or notebooks
    if len(best) != 1:
        names = ", ".join(p.name for p in best)
        raise Refused(f"several notebooks ({names}) and none is called {set_name}.ipynb" if best else "no notebook in the submission")
    return best[0], [p for p in files if p.suffix != ".ipynb" and p.name not in PROVIDED]


def copy_folder(folder: Path, box: Path):
    """Regular files of a folder, at any depth, side by side; links are left out."""
    found = [(p.lstat().st_size, p.name, p) for p in sorted(folder.rglob("*"))
             if stat.S_ISREG(p.lstat().st_mode) and wanted(p.relative_to(folder).parts)]
    copy_files(found, box)


def wanted(parts) -> bool:
    """Leave out what is not work: hidden files, the copied library, caches."""
    hidden = any(part.startswith(".") and part.strip(".") for part in parts)
    return not hidden and not {"bwlib", "__MACOSX", "__pycache__", "node_modules"} & set(parts)


def copy_files(found, box: Path):
    check_size([size for size, _, _ in found])
    for _, name, path in found:
        target = box / name
        if not target.exists():
            shutil.copyfile(path, target, follow_symlinks=False)


def unpack(archive: Path, box: Path):
    """The files of an archive, without their folders (so no path can lead elsewhere), links left out."""
    try:
        with zipfile.ZipFile(archive) as zf:
            members = [m for m in zf.infolist() if not m.is_dir() and not stat.S_ISLNK(m.external_attr >> 16)]
            members = [m for m in members if wanted(m.filename.replace("\\", "/").split("/")[:-1] + [base_name(m)]) and base_name(m)]
            check_size([m.file_size for m in members])
            for member in members:
                target = box / base_name(member)
                if not target.exists():
                    with zf.open(member) as source:
                        target.write_bytes(source.read(member.file_size + 1))
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"the zip archive is damaged ({type(error).__name__})") from None


def base_name(member) -> str:
    name = member.filename.replace("\\", "/").split("/")[-1]
    return "" if name in (".", "..") or "\0" in name else name[-120:]


def check_size(sizes):
    if len(sizes) > MOST_FILES:
        raise Refused(f"more than {MOST_FILES} files")
    if sum(sizes) > MOST_BYTES:
        raise Refused(f"more than {MOST_BYTES // 10**6} MB of files")


def fingerprint(box: Path, *others: bytes) -> str:
    """Of everything that decides the marks of a submission."""
    digest = hashlib.sha256()
    for path in sorted(box.iterdir()):
        digest.update(path.name.encode(errors="replace") + b"\0" + path.read_bytes() + b"\0")
    for other in others:
        digest.update(other)
    return digest.hexdigest()
