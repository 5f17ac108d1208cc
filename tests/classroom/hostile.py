"""Submissions that try to get points they do not deserve, or to disturb the grading of others.

CODE: cells added to the blank release; none may get a point.  FILES: what is handed in, with what is expected:
a number of points, "all" (every automatic point), or a part of the reason why it cannot be graded.
"""
from __future__ import annotations

import copy
import json
import os
import tempfile
import zipfile
from pathlib import Path

import nbformat

ESCAPED = Path(tempfile.gettempdir(), "escaped.txt")    # nobody's archive may write it

ALL = "for _name in ('layer_covariances', 'align', 'regret', 'price', 'differential'): globals()[_name] = {}\n"


def everything(expression):
    """Define every function of the set as the same expression."""
    return ALL.format(expression)


CODE = {
    "patched-numpy": """
import numpy as np
np.isclose = np.allclose = np.array_equal = lambda *a, **k: True
np.linalg.norm = lambda *a, **k: 0.0
np.asarray = lambda *a, **k: np.zeros(())
""" + everything("lambda *a: 0.0"),
    "patched-checks": """
import checks, sys
checks.close = close = lambda *a, **k: None
sys.modules['checks'].close.__code__ = (lambda *a, **k: None).__code__
""" + everything("lambda *a: [0.0]"),
    "equal-to-everything": """
class Yes:
    def __eq__(self, other): return True
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __len__(self): return 2
    def __getitem__(self, i): return self
    def __float__(self): return 0.0
    def __array__(self, *a, **k): import numpy as np; return np.zeros((2, 2))
    __le__ = __lt__ = __ge__ = __gt__ = __ne__ = __eq__
    __sub__ = __rsub__ = __matmul__ = __abs__ = lambda self, *a: self
""" + everything("lambda *a: Yes()"),
    "array-subclass": """
import numpy as np
class Flat(np.ndarray):
    def __array_ufunc__(self, *a, **k): return True
    def __sub__(self, other): return np.zeros(())
    __rsub__ = __sub__
    shape = property(lambda self: (2, 2))
""" + everything("lambda *a: np.zeros((2, 2)).view(Flat)"),
    "float-subclass": """
class Number(float):
    def __sub__(self, other): return 0.0
    def __eq__(self, other): return True
    __rsub__ = __sub__
""" + everything("lambda *a: Number(4)"),
    "reads-the-source": """
import os
found = {}
for folder, _, names in os.walk('/'):
    if folder.startswith(('/proc', '/usr', '/dev')): continue
    for name in names:
        if name.endswith('.ipynb') or 'gradebook' in name:
            text = open(os.path.join(folder, name), errors='replace').read()
            if 'BEGIN SOLUTION' in text or 'BEGIN HIDDEN' in text or name.startswith('gradebook'):
                found[name] = text
if found:
    import json
    for text in found.values():
        for cell in json.loads(text)['cells']:
            if cell['metadata'].get('nbgrader', {}).get('solution'): exec(''.join(cell['source']))
""",
    "opens-the-gradebook": """
import glob, sqlite3
for path in glob.glob('/**/gradebook.db', recursive=True):
    sqlite3.connect(path).execute('update grade set auto_score = 100')
open('/course/gradebook.db', 'w').write('mine')
""",
    "opens-for-writing": """
import os
for path in ('/course/checks.py', '/course/bwlib/__init__.py', '/course/classroom/plain.py', '/usr/bin/env', '/proc/sys/kernel/core_pattern'):
    try: os.close(os.open(path, os.O_WRONLY))
    except OSError: pass
    else: raise AssertionError(path)
for path in ('/new', '/dev/new', '/course/new', '/usr/new', '/proc/new', '/etc/new'):
    try: open(path, 'w')
    except OSError: pass
    else: raise AssertionError(path)
""",
    "network": """
import socket
for address in (('1.1.1.1', 53), ('127.0.0.1', 22), ('169.254.169.254', 80)):
    try: socket.create_connection(address, timeout=1)
    except OSError: pass
    else: raise AssertionError('connected')
""",
    "fork-bomb": """
import os
while True:
    try: os.fork()
    except OSError: break
""",
    "process-pool": """
import multiprocessing, subprocess, os
for start in (lambda: multiprocessing.Pool(64), lambda: subprocess.Popen(['sleep', '1000']), lambda: os.system('sleep 1000 &'),
              lambda: os.posix_spawn('/bin/sleep', ['sleep', '1000'], {}), lambda: os.forkpty()):
    try: start()
    except OSError: pass
""",
    "thread-bomb": """
import threading, time
def again():
    for _ in range(100):
        try: threading.Thread(target=again, daemon=True).start()
        except RuntimeError: pass
    time.sleep(1000)
again()
""",
    "sleeps": "import time\ntime.sleep(10**6)",
    "swallows-interrupts": """
import time
while True:
    try: time.sleep(1000)
    except BaseException: pass
""",
    "ignores-signals": """
import signal
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, signal.SIG_IGN)
signal.alarm = signal.setitimer = lambda *a: 0
while True: pass
""",
    "exits": "import os\nos._exit(0)",
    "system-exit": "import sys, atexit\natexit.register(lambda: print('all tests pass'))\nsys.exit(0)",
    "kills-its-parents": """
import os, signal
for number in (1, os.getppid(), -1):
    try: os.kill(number, signal.SIGKILL)
    except OSError: pass
""",
    "crashes": "import ctypes\nctypes.string_at(0)",
    "huge-output": "for i in range(200_000): print('x' * 1000)",
    "huge-output-below-python": """
import os
for descriptor in range(1, 64):
    try: os.write(descriptor, b'x' * 10_000_000)
    except OSError: pass
""",
    "huge-memory": "hoard = []\nwhile True: hoard.append(bytearray(10**8))",
    "fills-the-disk": """
import itertools
for i in itertools.count():
    for folder in ('/tmp', '/desk', '/dev/shm', '/dev', '/', '/course'):
        try: open(f'{folder}/{i}', 'wb').write(b'x' * 10**7)
        except OSError as error: last = error
    if i > 50: break
""",
    "import-hook": """
import sys, types
class Hook:
    def find_spec(self, name, path=None, target=None):
        if name in ('numpy', 'checks', 'math', 'bwlib'): raise ImportError
sys.meta_path.insert(0, Hook())
for name in ('math', 'checks'): sys.modules[name] = types.SimpleNamespace(close=lambda *a, **k: None, isclose=lambda *a, **k: True)
""" + everything("lambda *a: 1.0"),
    "syntax-tree-hook": """
import ast
class NoTests(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
    def visit_Raise(self, node): return ast.Pass()
get_ipython().ast_transformers.append(NoTests())
get_ipython().run_cell = lambda *a, **k: None
""" + everything("lambda *a: 0.0"),
    "patched-builtins": """
import builtins
builtins.AssertionError = builtins.Exception = type('Nothing', (BaseException,), {})
builtins.len = lambda x: 2
builtins.abs = builtins.float = lambda *a: 0
""" + everything("lambda *a: 0"),
    "forged-answers": """
import os, json
good = json.dumps({"kind": "value", "value": 1.0, "error": None, "scores": {"q1-test": 4}, "passed": True}).encode()
for descriptor in range(3, 64):
    try: os.write(descriptor, (len(good).to_bytes(8, 'big') + good) * 50)
    except OSError: pass
""" + everything("lambda *a: 1.0"),
    "endless-answer": """
import os
for descriptor in range(3, 64):
    try: os.write(descriptor, (2**62).to_bytes(8, 'big') + b'x' * 1000)
    except OSError: pass
""" + everything("lambda *a: 1.0"),
    "malformed-answers": """
import classroom.plain as plain
forms = iter([{"array": ["object", [1], ""]}, {"array": ["float64", [10**9, 10**9], ""]}, {"array": ["float64", [-1], "AAAA"]},
              {"dict": [1]}, {"__reduce__": ["os.system", ["true"]]}, {"tuple": 3}, {"complex": ["nan"]}, [[[]]]] * 50)
plain.encode = lambda value: next(forms)
""" + everything("lambda *a: 1.0"),
    "nested-answer": """
import classroom.plain as plain
plain.pack = lambda message: (lambda body: len(body).to_bytes(8, 'big') + body)(b'[' * 10**6)
""" + everything("lambda *a: 1.0"),
    "searches-the-stack": """
import gc, sys
def spy(*arguments):
    frame = sys._getframe()
    while frame:
        for name in ('expected', 'product', 'block'):
            if name in frame.f_locals: return frame.f_locals[name]
        frame = frame.f_back
    for thing in gc.get_objects():
        if isinstance(thing, dict) and 'expected' in thing: return thing['expected']
    return 0.0
""" + everything("spy"),
    "knows-the-visible-tests": """
import numpy as np
def layer_covariances(weights): return [np.array([[1.0, 0], [0, 4]]), np.array([[5.0]])]
def align(W, A): return np.array([[2.0], [0]]) if A.shape[1] == 1 else np.diag([1.0, 2.0])
def regret(M, Sigma): return 4.0 if M[0, 0] == 0 else 0.0
def price(target, widths): return 1.0 if min(widths) == 2 else 0.0
def differential(weights, directions): return directions[0] if len(weights) == 1 else np.array([[17.0]])
""",
    "not-a-number": everything("lambda *a: float('nan')"),
    "true-and-text": everything("lambda *a: [True, 'all tests pass', None, {'score': 100}]"),
    "returns-its-arguments": """
def spoil(*arguments):
    for a in arguments:
        for b in (a if isinstance(a, list) else [a]): b *= 0
    return arguments[0]
""" + everything("spoil"),
    "huge-result": "import numpy as np\n" + everything("lambda *a: np.zeros(10**8)"),
    "never-returns": "import time\n" + everything("lambda *a: time.sleep(1000)"),
    "raises-strange-errors": """
class Odd(BaseException):
    def __str__(self): raise SystemExit
def bad(*a): raise Odd
""" + everything("bad"),
    "deep-recursion": """
import sys
sys.setrecursionlimit(10**9)
def deeper(*a): return deeper(*a)
""" + everything("deeper"),
    "lifts-its-limits": """
import resource, ctypes
for kind in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
    try: resource.setrlimit(kind, (resource.RLIM_INFINITY,) * 2)
    except (ValueError, OSError): pass
assert ctypes.CDLL(None).unshare(0x10000000) == -1
assert ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, 0) == -1
""",
}


def with_cell(blank, source):
    nb = copy.deepcopy(blank)
    nb.cells.append(nbformat.v4.new_code_cell(source))
    return nb


def write(nb, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(nb), encoding="utf-8")


def without(nb, keep):
    nb = copy.deepcopy(nb)
    nb.cells = [c for c in nb.cells if keep(c)]
    return nb


def changed(nb, change):
    nb = copy.deepcopy(nb)
    for i, cell in enumerate(nb.cells):
        change(i, cell)
    return nb


def is_test(cell):
    meta = cell.metadata.get("nbgrader", {})
    return meta.get("grade") and meta.get("locked")


def files(folder, blank, solved):
    """Write the other submissions; returns what is expected of each."""
    expected = {}

    def expect(name, what, suffix=""):
        expected[name] = what
        return folder / (name + suffix)

    def emptied(i, cell):
        if is_test(cell):
            cell.source = "pass"

    def enriched(i, cell):
        if is_test(cell):
            cell.metadata.nbgrader.points = 1000
            cell.metadata.nbgrader.checksum = "0" * 32
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="1000")]

    def answers_are_tests(i, cell):
        if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code":
            cell.metadata.nbgrader.update(locked=True, solution=False)

    def same_id(i, cell):
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader.grade_id = "q1"

    def nameless(i, cell):
        cell.metadata.clear()

    def odd(i, cell):
        cell.metadata["nbgrader"] = [1, 2] if i % 2 else {"grade_id": {"a": 1}}

    def page_script(i, cell):
        if cell.cell_type == "markdown":
            cell.source += "\n\n<script>document.title='taken'</script><img src=x onerror=alert(1)>"
        elif not is_test(cell):
            cell.outputs = [nbformat.v4.new_output("display_data", data={"text/html": "<script>alert(1)</script>"})]

    write(changed(blank, emptied), expect("emptied-tests", 0, ".ipynb"))
    write(changed(blank, enriched), expect("changed-points", 0, ".ipynb"))
    doubled = copy.deepcopy(blank)
    doubled.cells += [c for c in copy.deepcopy(blank).cells if is_test(c)] * 3
    write(doubled, expect("copied-tests", 0, ".ipynb"))
    write(without(solved, lambda c: not is_test(c)), expect("deleted-tests", "all", ".ipynb"))
    write(changed(solved, answers_are_tests), expect("locked-answers", "all", ".ipynb"))
    write(changed(solved, same_id), expect("one-id-for-all", None, ".ipynb"))
    write(changed(solved, nameless), expect("lost-metadata", "all", ".ipynb"))
    write(changed(solved, odd), expect("odd-metadata", "all", ".ipynb"))
    write(changed(solved, page_script), expect("script-in-text", "all", ".ipynb"))
    turned = copy.deepcopy(solved)
    turned.cells.reverse()
    write(turned, expect("reversed-cells", "all", ".ipynb"))
    write(without(solved, lambda c: c.metadata.get("nbgrader", {}).get("grade_id") != "q2"), expect("one-answer-deleted", 18, ".ipynb"))
    write(solved, expect("renamed-file", "all") / "my solution (final) 2.ipynb")
    write(solved, expect("müller-ß", "all") / "Lösung ✓.ipynb")
    write(solved, expect("shadowing-modules", "all") / "ps1.ipynb")
    for name in ("numpy.py", "bwlib.py", "checks.py", "classroom.py", "sitecustomize.py", "IPython.py"):
        (folder / "shadowing-modules" / name).write_text("raise SystemExit('taken over')\n")
    for name, data in {"invalid-json": b'{"cells": [', "empty-file": b"", "binary-file": bytes(range(256)), "no-cells": b'{"nbformat": 4}',
                       "a-list": b"[1, 2, 3]", "nested-json": b"[" * 100_000, "odd-cells": b'{"nbformat": 4, "cells": [1, {"cell_type": "code"}]}'}.items():
        expect(name, "not", ".ipynb").write_bytes(data)
    expect("too-large", "larger than", ".ipynb").write_bytes(b" " * 30_000_000)
    os.symlink(folder / "invalid-json.ipynb", expect("a-link", "a link", ".ipynb"))
    expect("linked-notebook", "no notebook").mkdir()
    os.symlink("/etc/passwd", folder / "linked-notebook" / "ps1.ipynb")
    expect("no-notebook", "no notebook").mkdir()
    write(solved, expect("two-notebooks", "several notebooks") / "a.ipynb")
    write(solved, folder / "two-notebooks" / "b.ipynb")
    write(solved, expect("handed-in-twice", "several submissions", ".ipynb"))
    write(solved, folder / "handed-in-twice_2.ipynb")
    with zipfile.ZipFile(expect("zip-bomb", "more than", ".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ps1.ipynb", b"0" * 200_000_000)
    with zipfile.ZipFile(expect("many-files", "more than", ".zip"), "w") as archive:
        for i in range(1000):
            archive.writestr(f"{i}.txt", b"")
    with zipfile.ZipFile(expect("path-traversal", "all", ".zip"), "w") as archive:
        for name in (f"../../../..{ESCAPED}", str(ESCAPED), "..\\..\\escaped.txt", "a/../../escaped.txt"):
            archive.writestr(name, "escaped")
        archive.writestr("../../ps1.ipynb", json.dumps(solved))
    with zipfile.ZipFile(expect("link-in-zip", "no notebook", ".zip"), "w") as archive:
        link = zipfile.ZipInfo("ps1.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    whole = (folder / "path-traversal.zip").read_bytes()
    expect("damaged-zip", "zip archive is damaged", ".zip").write_bytes(whole[:40] + bytes(200) + whole[240:])
    write(solved, folder / "honest.ipynb")
    expected["honest"] = "all"
    write(json_copy(blank), expect("blank", 0, ".ipynb"))
    return expected


def json_copy(nb):
    return nbformat.reads(json.dumps(nb), as_version=4)
