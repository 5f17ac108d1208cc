"""The files beside the book: commands, versions, citation, examples of the README; run times and seeds."""
from __future__ import annotations

import ast
import contextlib
import datetime
import importlib.util
import io
import json
import re
import textwrap
import tomllib
from pathlib import Path

import book_sources
import pytest
import yaml

ROOT = book_sources.ROOT
NOTEBOOKS = sorted((ROOT / "chapters").glob("*.ipynb"))
PYTHON = [*sorted((ROOT / "bwlib").rglob("*.py")), *sorted((ROOT / "benchmarks").glob("*.py")), ROOT / "tools" / "experiments.py"]
HIDDEN = {"help", "env", "classroom"}  # steps of other commands


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def targets() -> set[str]:
    """The commands of the Makefile."""
    return set(re.search(r"^\.PHONY:((?:.*\\\n)*.*)", read("Makefile"), re.M)[1].replace("\\", "").split()) - HIDDEN


def test_readme_and_help_list_every_command():
    listed = re.findall(r"^\| `make ([\w-]+)", read("README.md"), re.M)
    assert sorted(listed) == sorted(targets())
    assert set(re.findall(r'@echo "make ([\w-]+)', read("Makefile"))) == targets()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "assignments/student/README.md",
                                  "chapters/index.md", "chapters/for_instructors.md", "chapters/reproducibility.md",
                                  "chapters/errata.md", "chapters/statement_ledger.md"])
def test_commands_and_files_exist(name):
    text = read(name)
    named = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.M))
    assert named <= targets()
    for path in re.findall(r"`((?:chapters|bwlib|tests|tools|benchmarks|assignments|_ext|_static|_latex)/[\w./]*|\w+\.(?:cff|toml|yml))`", text):
        made = path.startswith(("assignments/release", "assignments/grades", "assignments/feedback", "tools/pages/node_modules"))
        assert made or (ROOT / path).exists(), path


@pytest.mark.parametrize("name", ["README.md", "chapters/index.md"])
def test_examples_run(name):
    (code,) = re.findall(r"(?ms)^ *```python\n(.*?)^ *```", read(name))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(textwrap.dedent(code), {})
    assert "CONVERGED" in printed.getvalue()
    if name == "README.md":
        status, loss = printed.getvalue().split()
        assert abs(float(loss) - 0.25) < 1e-9  # the best loss at rank 2, as the comment says


def test_one_version():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert re.search(r"^## (\S+)", read("CHANGELOG.md"), re.M)[1] == version
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version
    assert f"version {version}" in read("chapters/errata.md")


def test_citation():
    """The rules of the Citation File Format 1.2.0 for the keys that are used."""
    cff = yaml.safe_load(read("CITATION.cff"))
    assert cff["cff-version"] == "1.2.0" and cff["type"] in ("software", "dataset")
    assert {"message", "title", "authors"} <= set(cff) <= {
        "cff-version", "message", "title", "type", "version", "date-released", "license", "authors", "references",
        "abstract", "keywords", "repository-code", "url"}
    assert datetime.date.fromisoformat(cff["date-released"])
    assert cff["license"] == ["BSD-3-Clause", "CC-BY-4.0"]
    (paper,) = cff["references"]
    assert {"authors", "title", "type"} <= set(paper) and paper["type"] == "conference-paper"
    assert isinstance(paper["year"], int) and isinstance(paper["volume"], str) and paper["conference"]["name"]
    for author in [*cff["authors"], *paper["authors"]]:
        assert set(author) in ({"name"}, {"given-names", "family-names"})


def test_contributing_stays_short():
    assert len(read("CONTRIBUTING.md").splitlines()) <= 50


# ---------------------------------------------------------------- run times, seeds


@pytest.fixture(scope="module")
def refresh():
    specification = importlib.util.spec_from_file_location("refresh", ROOT / "tools" / "refresh.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_run_times_of_all_notebooks_are_stored():
    stored = json.loads(read("chapters/run_times.json"))
    assert list(stored) == [path.name for path in NOTEBOOKS], "run `make refresh`"
    for run in stored.values():
        assert run["seconds"] > 0 and re.match(r"[\w -]+, \d+ cores, \w+, Python 3\.\d+\.\d+; numpy [\d.]+, ", run["where"])


def test_run_times_are_merged(refresh, tmp_path, monkeypatch):
    for name in ("a.ipynb", "b.ipynb"):
        (tmp_path / name).touch()
    monkeypatch.setattr(refresh, "CHAPTERS", tmp_path)
    monkeypatch.setattr(refresh, "RUN_TIMES", tmp_path / "run_times.json")
    refresh.record({"b.ipynb": 1.26, "a.ipynb": 2.0, "gone.ipynb": 3.0})
    refresh.record({"a.ipynb": 4.0})
    stored = json.loads((tmp_path / "run_times.json").read_text())
    assert {name: run["seconds"] for name, run in stored.items()} == {"a.ipynb": 4.0, "b.ipynb": 1.3}
    assert list(stored) == sorted(stored)


@pytest.mark.parametrize("name, expected", [
    ("Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz", "Intel Xeon Platinum"),
    ("AMD EPYC 7B13 64-Core Processor", "AMD EPYC")])
def test_processor_is_named_in_general_words(refresh, monkeypatch, name, expected):
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: f"processor\t: 0\nmodel name\t: {name}\n")
    assert refresh.processor() == expected


def test_run_times_are_on_the_page(html, soups):
    page = soups[html / "chapters" / "reproducibility.html"]
    runs = [row for row in page.select("table.ledger tbody tr") if row.a]
    assert [Path(row.a["href"]).stem for row in runs] == [path.stem for path in NOTEBOOKS]
    assert "numpy==" in page.find("pre").get_text()


def code():
    for path in PYTHON:
        yield path.name, path.read_text(encoding="utf-8")
    for path in [*NOTEBOOKS, *sorted((ROOT / "assignments" / "source").glob("*/*.ipynb"))]:
        for i, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            if cell["cell_type"] == "code":
                yield f"{path.name}, cell {i}", "".join(cell["source"])


def test_random_numbers_have_seeds():
    """Nothing of ``numpy.random`` but ``Generator`` and ``default_rng`` with a seed; nothing of ``random``."""
    for place, source in code():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and getattr(node.value, "attr", "") == "random" \
                    and getattr(node.value.value, "id", "") in ("np", "numpy"):
                assert node.attr in ("Generator", "default_rng"), place
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "default_rng":
                assert node.args, place
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not {"random", "numpy.random"} & set(names), place
