"""The memory of this process; imports nothing large, so that it can look at the imports of others."""
from __future__ import annotations

import re
import sys
from pathlib import Path


def peak() -> int:
    """The largest memory so far, in bytes."""
    return _status("VmHWM") or _resource_peak()


def restart() -> int:
    """The memory now, in bytes; where the system allows it, the peak is counted anew from here on."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        pass
    return _status("VmRSS") or _resource_peak()


def _status(field: str) -> int:
    try:
        found = re.search(rf"^{field}:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"), re.M)
    except OSError:
        found = None
    return 1024 * int(found[1]) if found else 0


def _resource_peak() -> int:
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest
