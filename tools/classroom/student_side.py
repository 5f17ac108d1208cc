"""The process in which a student's code runs: cells one by one, then calls of the student's functions.

Started inside the sandbox with the grader's pipe as standard input and output.  Nothing it says is believed: the
grader takes plain data from it and compares them elsewhere.
"""
from __future__ import annotations

import base64
import io
import os
import resource
import shutil
import signal
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout

LONGEST_TEXT = 20_000      # characters of output per cell
LARGEST_PICTURE = 2_000_000
MOST_PICTURES = 10


class TooSlow(BaseException):
    """Raised in a cell or a call that used up its time."""


@contextmanager
def time_limit(seconds):
    def late(signum, frame):
        raise TooSlow(f"stopped after {seconds} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


class Capped(io.StringIO):
    """Text output of which only the beginning is kept."""

    def write(self, text):
        room = LONGEST_TEXT - self.tell()
        super().write(str(text)[:max(0, room)])
        return len(text)


def start_shell(pictures):
    """An IPython shell without history whose displayed figures go to the list ``pictures``."""
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from matplotlib_inline.config import InlineBackend
    from matplotlib_inline.backend_inline import configure_inline_support
    from traitlets.config import Config

    class Publisher(DisplayPublisher):
        def publish(self, data, **ignored):
            keep_picture(data, pictures)

    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config, display_pub_class=Publisher)
    shell.colors = "nocolor"
    shell.ask_exit = lambda: None
    shell.enable_gui = lambda gui=None: None
    InlineBackend.instance(parent=shell)
    import matplotlib
    matplotlib.use("module://matplotlib_inline.backend_inline")
    configure_inline_support(shell, "module://matplotlib_inline.backend_inline")
    return shell


def keep_picture(data, pictures):
    png = data.get("image/png")
    png = base64.b64encode(png).decode() if isinstance(png, bytes) else png
    if isinstance(png, str) and len(png) < LARGEST_PICTURE and len(pictures) < MOST_PICTURES:
        pictures.append(png)


def run_cell(shell, pictures, source, seconds):
    """Run one cell; its text, pictures and error."""
    text, trace = Capped(), []
    shell._showtraceback = lambda kind, value, lines: trace.extend(map(str, lines))
    pictures.clear()
    error = None
    with redirect_stdout(text), redirect_stderr(text):
        try:
            with time_limit(seconds):
                result = shell.run_cell(source)
            if not result.success:
                problem = result.error_before_exec or result.error_in_exec
                error = [type(problem).__name__, str(problem)[:500], "\n".join(trace)[-4000:]]
            elif trace:      # the cell ran, but a figure or a value could not be displayed
                error = ["NotDisplayed", trace[-1][:500], "\n".join(trace)[-4000:]]
        except TooSlow as late:
            error = ["TooSlow", str(late), ""]
    return {"text": text.getvalue(), "pictures": list(pictures), "error": error}


def describe(shell, name):
    """What the student's notebook left under this name."""
    from classroom.plain import NotPlain, encode

    if name not in shell.user_ns:
        return {"kind": "missing"}
    value = shell.user_ns[name]
    if callable(value):
        return {"kind": "function"}
    try:
        return {"kind": "value", "value": encode(value)}
    except NotPlain as problem:
        return {"kind": "other", "error": str(problem)}


def call(shell, name, arguments, options, seconds):
    """The result of a call of the student's function, or the error that it raised."""
    from classroom.plain import decode, encode

    try:
        with redirect_stdout(Capped()), redirect_stderr(Capped()), time_limit(seconds):
            return {"value": encode(shell.user_ns[name](*decode(arguments), **decode(options)))}
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {str(error)[:500]}"}


def set_limits(memory, file_size):
    for kind, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, file_size), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (limit, limit))


def own_pipe():
    """Take standard input and output for the grader; what the student's code writes there goes nowhere."""
    inlet, outlet = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    return inlet, outlet


def main():
    set_limits(int(sys.argv[1]), int(sys.argv[2]))
    inlet, outlet = own_pipe()
    if os.path.isdir(sys.argv[3]):
        shutil.copytree(sys.argv[3], os.environ["MPLCONFIGDIR"], dirs_exist_ok=True)
    from classroom.plain import pack, unpack

    sys.path.append(os.getcwd())      # the student's own modules, behind all others
    pictures = []
    shell = start_shell(pictures)
    actions = {
        "run": lambda m: run_cell(shell, pictures, m["source"], m["seconds"]),
        "get": lambda m: describe(shell, m["name"]),
        "call": lambda m: call(shell, m["name"], m["arguments"], m["options"], m["seconds"]),
    }
    while head := inlet.read(8):
        message = unpack(inlet.read(int.from_bytes(head, "big")))
        outlet.write(pack(actions[message["do"]](message)))
        outlet.flush()


if __name__ == "__main__":
    main()
