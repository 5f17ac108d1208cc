"""Check a notebook before you hand it in:  python validate.py ps1.ipynb

Runs the whole notebook from the top in a fresh kernel and says which visible tests pass.  The tests that you do not
see use other inputs: read the question again when everything passes.
"""
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
EMPTY = ("YOUR ANSWER HERE", "raise NotImplementedError()")


def stop(line):
    sys.exit(line)


def read(path):
    import nbformat
    from nbformat.v4.rwbase import rejoin_lines

    if not path.is_file():
        stop(f"There is no file {path}.")
    try:
        nb = nbformat.from_dict(json.loads(path.read_text(encoding="utf-8")))
        if nb.nbformat != 4 or not nb.cells:
            stop(f"{path.name} is not a notebook of Jupyter's format 4: save it again in JupyterLab.")
        return rejoin_lines(nb)
    except (ValueError, AttributeError, TypeError):
        stop(f"{path.name} is not a notebook: it may be damaged. Save it again in JupyterLab.")


def run(nb, folder):
    """Run all cells in the folder of the notebook, going on after errors."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    paths = (str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", ""))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    at = [0]
    try:
        NotebookClient(nb, timeout=60, allow_errors=True, kernel_name="python3", resources={"metadata": {"path": str(folder)}},
                       extra_arguments=["--log-level=CRITICAL"],
                       on_cell_execute=lambda cell, cell_index: at.append(cell_index + 1)).execute()
    except CellTimeoutError:
        stop(f"Cell {at[-1]} ran longer than 60 seconds: look for a loop that does not end. It would be stopped when marked, too.")
    except DeadKernelError:
        stop(f"Cell {at[-1]} ended the Python process: look for exit(), or for arrays that need too much memory.")


def problem(cell):
    """The first line of the error of a cell, or None."""
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            return f"{output.ename}: {output.evalue.strip()}".split("\n")[0].strip().rstrip(":")
    return None


def report(nb):
    """Print one line per graded cell; returns the number of lines that ask for attention."""
    attention, found = 0, [c for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade")]
    for cell in found:
        meta = cell.metadata.nbgrader
        error, picture = problem(cell), any("image/png" in o.get("data", {}) for o in cell.get("outputs", []))
        if meta.solution:
            good = not any(mark in cell.source for mark in EMPTY) and cell.source.strip() and not error
            line = "answered" if good else error or "not answered yet"
            line += ", with a figure" if picture else ""
        else:
            good, line = not error, f"the visible tests fail: {error}" if error else "the visible tests pass"
        attention += not good
        print(f"  {'ok ' if good else '-- '} {meta.grade_id:10} {meta.points:g} points: {line}")
    for number, cell in enumerate(nb.cells, start=1):
        if cell.cell_type == "code" and not cell.metadata.get("nbgrader", {}).get("grade") and problem(cell):
            attention += 1
            print(f"  --  cell {number} raises {problem(cell)}")
    if not found:
        stop("The notebook has lost the marks by which its questions are found. Start again from the released notebook\n"
             "and copy your answers into its cells.")
    return attention


def main():
    if len(sys.argv) != 2 or not sys.argv[1]:
        stop("Say which notebook:  python validate.py ps1.ipynb")
    path = Path(sys.argv[1])
    try:
        nb = read(path)
        print(f"Running {path.name} from the top ...")
        run(nb, path.resolve().parent)
    except ImportError as error:
        stop(f"A package is missing ({error.name}): pip install -r requirements.txt")
    attention = report(nb)
    print("Ready to hand in." if not attention else f"Look at the lines marked -- ({attention} in all). You can still hand in.")
    sys.exit(bool(attention))


if __name__ == "__main__":
    main()
