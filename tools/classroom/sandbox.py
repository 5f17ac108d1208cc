"""A student's process: closed in by bubblewrap, spoken to through one pipe with deadlines."""
from __future__ import annotations

import os
import platform
import selectors
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from . import plain
from .course import ROOT, Refused

HERE = Path(__file__).resolve().parent
CHECKS = ROOT / "assignments" / "student" / "checks.py"
DESK, SCRATCH = "/desk", "/tmp"     # inside the sandbox: where the notebook runs, and where it may leave files
CLOSING = 5        # seconds that an answer may take beyond the limit of the cell or call


class Stopped(Exception):
    """The student's process ended or was ended."""


@dataclass(frozen=True)
class Limits:
    cell: int = 60                  # seconds per cell
    call: int = 20                  # seconds per call from a test
    total: int = 300                # seconds per submission
    memory: int = 3 * 2**30         # bytes of address space
    files: int = 64 * 2**20         # bytes of all files written


@dataclass(frozen=True)
class Place:
    """Where student code runs: closed in, unless the teacher trusts the submissions."""

    trusted: bool = False
    limits: Limits = field(default_factory=Limits)
    closed: threading.Event = field(default_factory=threading.Event)      # set it, and everything that runs here ends

    def __post_init__(self):
        if self.trusted:
            return
        if shutil.which("bwrap") is None:
            raise Refused("Grading runs student code in a sandbox, and bubblewrap is missing: sudo apt install bubblewrap "
                          "(or, if you trust every submission, add TRUST=1).")
        probe = subprocess.run(["bwrap", *walls(self.limits), "true"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if probe.returncode:
            raise Refused(f"bubblewrap cannot make a sandbox on this machine ({probe.stderr.strip()[-200:]}); allow "
                          "unprivileged user namespaces or grade on another machine (or, if you trust every submission, add TRUST=1).")


# ---------------------------------------------------------------- the walls


def walls(limits: Limits) -> list[str]:
    """Arguments of bubblewrap: no network, a read-only system, small scratch folders, and nothing of the course."""
    size = str(limits.files)
    arguments = ["--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox",
                 "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev",
                 "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev", "--size", size, "--tmpfs", SCRATCH,
                 "--size", size, "--tmpfs", DESK, "--chdir", DESK]
    for name in ("bin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            arguments += ["--symlink", f"usr/{name}", f"/{name}"]
        elif Path("/", name).exists():
            arguments += ["--ro-bind", f"/{name}", f"/{name}"]
    for name in ("/etc/ld.so.cache", "/etc/alternatives"):
        arguments += ["--ro-bind-try", name, name]
    for name in dict.fromkeys((sys.prefix, os.path.realpath(sys.prefix), sys.base_prefix)):
        if not name.startswith("/usr"):
            arguments += ["--ro-bind", os.path.realpath(name), name]
    return arguments


def furniture(files: list[Path]) -> list[str]:
    """What student code may read: the library, the checks, its own process's program, its own files."""
    arguments = []
    for path, name in ((ROOT / "bwlib", "bwlib"), (CHECKS, "checks.py"), (font_cache(), "fonts"),
                       *((HERE / name, f"classroom/{name}") for name in ("__init__.py", "plain.py", "student_side.py"))):
        arguments += ["--ro-bind", str(path), f"/course/{name}"]
    for path in files:
        arguments += ["--ro-bind", str(path), f"{DESK}/{path.name}"]
    return arguments + ["--remount-ro", "/"]


ENVIRONMENT = {"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
               "PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1"}


@cache
def font_cache() -> Path:
    """Matplotlib's list of fonts, made once, so that not every submission makes its own."""
    folder = Path(tempfile.mkdtemp(prefix="classroom-fonts-"))
    import atexit
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True,
                   env={**os.environ, "MPLCONFIGDIR": str(folder)})
    return folder


def no_processes() -> bytes:
    """A system call filter under which threads can be started and processes cannot."""
    machines = {"x86_64": (0xC000003E, 56, (57, 58, 272)), "aarch64": (0xC00000B7, 220, (97,))}
    if platform.machine() not in machines:
        raise Refused(f"The sandbox knows x86_64 and aarch64 processors, not {platform.machine()} (or, if you trust every "
                      "submission, add TRUST=1).")
    arch, clone, forbidden = machines[platform.machine()]
    load, equal, above, has, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, unknown = 0x7FFF0000, 0x00050001, 0x00050026      # go on; EPERM; ENOSYS
    n = len(forbidden)
    program = [(load, 0, 0, 4), (equal, 1, 0, arch), (give, 0, 0, refuse),
               (load, 0, 0, 0), (above, n + 5, 0, 0x40000000)]
    program += [(equal, n + 4 - i, 0, number) for i, number in enumerate(forbidden)]
    program += [(equal, 4, 0, 435), (equal, 0, 4, clone),             # clone3; clone, a thread only
                (load, 0, 0, 16), (has, 2, 0, 0x10000), (give, 0, 0, refuse),
                (give, 0, 0, unknown), (give, 0, 0, allow)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


# ---------------------------------------------------------------- one process


class Session:
    """One student's process; ``ask`` sends a message and returns the answer, or raises ``Stopped``."""

    def __init__(self, place: Place, files: list[Path]):
        if place.closed.is_set():
            raise Stopped("the grading was interrupted")
        self.place = place
        self.deadline = time.monotonic() + place.limits.total
        self.scratch = tempfile.TemporaryDirectory(prefix="classroom-")
        self.process = self._start(files)
        for pipe in (self.process.stdin, self.process.stdout):
            os.set_blocking(pipe.fileno(), False)

    def _start(self, files):
        limits = self.place.limits
        options = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        program = [sys.executable, "-P", "-m", "classroom.student_side", str(limits.memory), str(limits.files)]
        if self.place.trusted:
            for path in files:
                shutil.copy(path, self.scratch.name)
            places = {"HOME": self.scratch.name, "MPLCONFIGDIR": self.scratch.name + "/fonts", "IPYTHONDIR": self.scratch.name + "/ipython",
                      "PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE.parent, CHECKS.parent))), "PATH": os.environ["PATH"]}
            return subprocess.Popen([*program, str(font_cache())], cwd=self.scratch.name, env={**ENVIRONMENT, **places}, **options)
        places = {"HOME": SCRATCH, "MPLCONFIGDIR": f"{SCRATCH}/fonts", "IPYTHONDIR": f"{SCRATCH}/ipython", "PYTHONPATH": "/course",
                  "PATH": "/usr/bin:/bin"}
        settings = [word for name, value in {**ENVIRONMENT, **places}.items() for word in ("--setenv", name, value)]
        read, write = os.pipe()
        os.write(write, no_processes())
        os.close(write)
        try:
            return subprocess.Popen(["bwrap", *walls(limits), *furniture(files), *settings, "--seccomp", str(read),
                                     *program, "/course/fonts"], pass_fds=(read,), **options)
        finally:
            os.close(read)

    def ask(self, message: dict, seconds: float) -> dict:
        deadline = min(time.monotonic() + seconds, self.deadline)
        try:
            self._send(plain.pack(message), deadline)
            length = int.from_bytes(self._receive(8, deadline), "big")
            if length > plain.LARGEST:
                raise Stopped("it sent more data than allowed")
            return plain.unpack(self._receive(length, deadline))
        except (OSError, plain.NotPlain):
            self.close()
            raise Stopped("the process of the notebook ended") from None
        except Stopped:
            self.close()
            raise

    def _wait(self, pipe, event, deadline):
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, event)
            while not selector.select(min(0.2, max(0.0, deadline - time.monotonic()))):
                if self.place.closed.is_set():
                    raise Stopped("the grading was interrupted")
                if time.monotonic() >= deadline:
                    raise Stopped("it did not answer in time")

    def _send(self, data, deadline):
        data = memoryview(data)
        while data:
            self._wait(self.process.stdin, selectors.EVENT_WRITE, deadline)
            data = data[os.write(self.process.stdin.fileno(), data[:65536]):]

    def _receive(self, length, deadline):
        parts = bytearray()
        while len(parts) < length:
            self._wait(self.process.stdout, selectors.EVENT_READ, deadline)
            part = os.read(self.process.stdout.fileno(), min(1 << 20, length - len(parts)))
            if not part:
                raise Stopped("the process of the notebook ended")
            parts += part
        return bytes(parts)

    def run(self, source: str) -> dict:
        """Run a cell; the answer is checked for its form."""
        limit = self.place.limits.cell
        answer = self.ask({"do": "run", "source": source, "seconds": limit}, limit + CLOSING)
        return {"text": str(answer.get("text", "")), "error": answer.get("error"), "pictures": answer.get("pictures", [])}

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except OSError:
                pass
        self.scratch.cleanup()
