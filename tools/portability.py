"""Run the tests of the library on other processors, with more threads, with the oldest packages and on other Pythons.

    python tools/portability.py [--notebooks] [PYTHON ...]

Without arguments: the Pythons 3.11 to 3.14 that are found.  Each gets an environment of its own below ``.venv-portability``, with
the packages of requirements.txt; the first one also gets one with those of constraints-oldest.txt.  OpenBLAS is told to take
the kernels of an older processor, and of a newer one where this machine has its instructions.  With ``--notebooks`` the stored
outputs of the chapters are compared under every kernel too, with the Python that runs this script (half an hour).
"""
from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-portability"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
NEEDED = ("numpy", "scipy", "matplotlib", "joblib", "tqdm", "hypothesis", "mpmath", "pytest", "pillow", "beautifulsoup4", "nbformat")
KERNELS = {"Prescott": "sse3", "Haswell": "avx2", "Zen": "avx2", "SkylakeX": "avx512f"}  # and what they need
OF_THE_LIBRARY = {"any_array", "bad_input", "interactive", "large"}  # beside the tests of single modules, and the laws


def instructions() -> str:
    info = Path("/proc/cpuinfo")
    return info.read_text().replace("pni", "sse3") if info.exists() else ""


def kernels() -> list[str]:
    """The kernels that this processor can run."""
    return [name for name, needed in KERNELS.items() if re.search(rf"\b{needed}\b", instructions())]


def pythons() -> list[str]:
    """One interpreter of each version, as far as found on the path or in pyenv."""
    folders = [Path(p) for p in os.environ["PATH"].split(os.pathsep)]
    folders += sorted(Path.home().glob(".pyenv/versions/*/bin"), reverse=True)
    found = {}
    for version in VERSIONS:
        for program in (folder / f"python{version}" for folder in folders):
            if version not in found and program.exists() and version_of(program) == version:
                found[version] = str(program)
    return list(found.values())


def version_of(program: str | Path) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([program, "-c", code], capture_output=True, text=True).stdout.strip()


def pinned() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.split("==")[0] in NEEDED]


def environment(python: str, *, oldest: bool) -> str:
    """The interpreter of a virtual environment with the packages of the library and its tests; made once."""
    folder = FOLDER / (version_of(python) + "-oldest" * oldest)
    program = folder / "bin" / "python"
    wanted = [line.split("==")[0] for line in pinned()] if oldest else pinned()
    constraints = ["-c", str(ROOT / "constraints-oldest.txt")] if oldest else []
    stamp, state = folder / "ready", "\n".join([*wanted, *constraints])
    if not stamp.exists() or stamp.read_text() != state:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        subprocess.run([program, "-m", "pip", "install", "-q", *wanted, *constraints], check=True)
        stamp.write_text(state)
    return str(program)


def library_tests() -> list[str]:
    names = sorted(path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py"))
    modules = OF_THE_LIBRARY | {path.stem for path in (ROOT / "bwlib").glob("*.py")}
    return ["bwlib", *(f"tests/test_{name}.py" for name in names if name in modules or name.startswith("laws_"))]


def outcome(python: str, tests: list[str], options: list[str], kernel: str = "", threads: int = 1) -> str:
    """The last line of pytest."""
    settings = {"OPENBLAS_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    if kernel:
        settings["OPENBLAS_CORETYPE"] = kernel
    run = subprocess.run([python, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *options, *tests], cwd=ROOT,
                         env=dict(os.environ, **settings), capture_output=True, text=True)
    if run.returncode:
        print(run.stdout, run.stderr, sep="\n")
    return (run.stdout.strip().splitlines() or ["no tests"])[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--notebooks", action="store_true", help="compare the outputs of the chapters under every kernel")
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    options = parser.parse_args()
    found = options.pythons or pythons()
    plain = ["-o", "addopts=--doctest-modules --strict-markers"]
    first = environment(found[0], oldest=False)
    runs = [("oldest packages", environment(found[0], oldest=True), "", 1), ("two threads", first, "", 2)]
    runs += [(f"{kernel} kernels", first, kernel, 1) for kernel in kernels()]
    runs += [(f"Python {version_of(python)}", environment(python, oldest=False), "", 1) for python in found]
    table = []
    for name, python, kernel, threads in runs:
        table.append((name, outcome(python, library_tests(), plain, kernel, threads)))
        print(f"{table[-1][0]:20} {table[-1][1]}", flush=True)
    for kernel in kernels() if options.notebooks else ():
        table.append((f"{kernel}, notebooks", outcome(sys.executable, ["chapters"], ["--nbval"], kernel)))
        print(f"{table[-1][0]:20} {table[-1][1]}", flush=True)
    return any("passed" not in line or "failed" in line or "error" in line for _, line in table)


if __name__ == "__main__":
    sys.exit(main())
