"""Measure, and store the results: python -m benchmarks [quick] [PART ...]

Without the name of a part all parts are measured.  ``quick`` measures small problems and stores nothing.
"""
from __future__ import annotations

import json
import sys
import time

from . import parts, report, timing


def measure(chosen: dict[str, list[parts.Child]], keep) -> None:
    """Run the children of each part one after the other, and hand over its results when it is complete."""
    for name, children in chosen.items():
        start = time.perf_counter()
        runs = [child.run() for child in children]
        result = {"machine": runs[-1]["machine"], "rows": [row for run in runs for row in run["rows"]]}
        print(f"{name}: {len(result['rows'])} rows, {time.perf_counter() - start:.0f} s", flush=True)
        keep(name, result)


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["child"]:
        print(json.dumps(parts.child(arguments[1], json.loads(arguments[2]))))
        return
    is_quick = arguments[:1] == ["quick"]
    available = parts.quick() if is_quick else parts.full()
    names = arguments[is_quick:] or list(available)
    unknown = [name for name in names if name not in available]
    if unknown:
        raise SystemExit(f"no part is called {unknown[0]!r}; the parts are {', '.join(available)}")
    results = {} if is_quick or not report.RESULTS.exists() else report.read()

    def keep(name: str, result: dict) -> None:
        results[name] = result
        if not is_quick:
            timing.store(report.RESULTS, {part: results[part] for part in available if part in results})

    measure({name: available[name] for name in names}, keep)
    if is_quick:
        print(report.summary(results))


if __name__ == "__main__":
    main(sys.argv[1:])
