"""The stored results as tables (Markdown) and figures, for the page "Measurements" of the book."""
from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bwlib import plotting
from bwlib.rational import inverse_root_nodes

from . import cases

RESULTS = Path(__file__).resolve().parent / "results" / "measurements.json"
RIGHT = 1e-6  # the largest relative difference from bwlib with which an answer counts as right
COMPARISONS = ("loss", "near", "stacks", "scale", "training", "ensembles")
PEERS = ("library", "by hand", "public code")
WHY = {
    "loss": "all call the same routines of LAPACK; the difference is the check of the input, a call more or less, and "
            "the build of OpenBLAS that the routine comes from",
    "near": "the rivals take a difference of traces, which has lost digits here; `bwlib` a sum of squares, for which it "
            "needs eigenvectors or singular vectors",
    "stacks": "all loop over the same small decompositions; the difference is the few calls around the loop",
    "scale": "the rival needs eigenvalues only",
    "training": "at n = 20 a compiled loop saves the time between the calls; at n = 200, N = 100 the layers, their products and "
                "their gradients outgrow the caches, so that memory and the BLAS decide",
    "ensembles": "all loop over the same small SVDs; what is between them is compiled by jax, and a dozen calls of NumPy here",
}
WHATS = {"value": "value", "value_and_gradient": "value and gradient", "squared_distances": "distance of matrices"}


def read() -> dict:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


# ---------------------------------------------------------------- rows and entries


def select(results: dict, part: str, **where) -> list[dict]:
    """The rows of a part with the given entries."""
    return [row for row in results[part]["rows"] if all(row[name] == value for name, value in where.items())]


def kinds(results: dict) -> dict[str, str]:
    """The kind of every contestant; training loops that are no contestants for the loss are written by hand."""
    return {"jax scan": "by hand", **{row["name"]: row["kind"] for row in results["peers"]["rows"]}}


def is_right(entry: dict) -> bool:
    return entry.get("difference", math.nan) <= RIGHT


def fastest(results: dict, row: dict, wanted: Sequence[str] = PEERS, *, right: bool = True) -> tuple[str, float] | None:
    """Who of some kinds was fastest, among those with a right answer or among all, and the ratio to bwlib."""
    kind = kinds(results)
    ratios = {name: entry["ratio"]["median"] for name, entry in row["contestants"].items()
              if kind[name] in wanted and "ratio" in entry and (is_right(entry) or not right)}
    return min(ratios.items(), key=lambda item: item[1], default=None)


def floor(row: dict) -> dict | None:
    """The spread of the time of bwlib, divided by that of the faster floor."""
    floors = [entry for name, entry in row["contestants"].items() if name.startswith("floor") and "ratio" in entry]
    if not floors:
        return None
    ratio = min(floors, key=lambda entry: entry["seconds"]["median"])["ratio"]
    return {"median": 1 / ratio["median"], "low": 1 / ratio["high"], "high": 1 / ratio["low"]}


def described(row: dict) -> str:
    """A comparison in words."""
    threads = f"{row['threads']} thread" + "s" * (row["threads"] > 1)
    if "depth" in row:
        seeds = f", {row['seeds']} seeds" if row.get("seeds") else ""
        return f"training, n = {row['n']}, N = {row['depth']}{seeds}, {threads}"
    extra = (f", {row['stack']} at once" if row["stack"] else "") + (", near the minimum" if row["near"] else "")
    return f"{WHATS[row['what']]}, n = {row['n']}, k = {row['k']}, τ = {row['tau']:g}{extra}, {threads}"


# ---------------------------------------------------------------- how numbers are written


def number(x: float) -> str:
    """Two or three significant digits."""
    return f"{x:.0f}" if x >= 100 else f"{x:.2g}" if x < 10 else f"{x:.1f}"


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            break
    return f"{number(seconds / size)} {unit}"


def long_duration(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0), ("s", 1.0)):
        if seconds >= size:
            break
    return f"{number(seconds / size)} {unit}"


def spread(values: dict, write=number) -> str:
    """The median, and half the interquartile range in per cent of it."""
    return f"{write(values['median'])} ±{50 * (values['high'] - values['low']) / values['median']:.0f}%"


def compared(entry: dict | None) -> str:
    """The ratio of a contestant, and what was wrong with its answer."""
    if entry is None:
        return "–"
    if "raised" in entry:
        return "raises"
    if "slow" in entry:
        return "slow"
    if is_right(entry):
        return spread(entry["ratio"])
    off = entry["difference"]
    return f"{number(entry['ratio']['median'])} (NaN)" if math.isnan(off) else \
        f"{number(entry['ratio']['median'])} (off {off:.0e})".replace("e-0", "e-").replace("e+0", "e+")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, align: str = "--:") -> str:
    """A Markdown table, the first column to the left and the others to the right, or as ``align`` says."""
    lines = [header, ["---"] + [align] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def by_contestant(results: dict, rows: Sequence[dict], header: Sequence[str]) -> str:
    """One column for each row of the results: the time of bwlib, the ratios of the others to it, its ratio to the floor."""
    names = [name for name in kinds(results) if any(name in row["contestants"] for row in rows)]
    lines = [["**bwlib**, time", *(spread(row["contestants"]["bwlib"]["seconds"], duration) for row in rows)]]
    for name in names:
        if kinds(results)[name] in PEERS:
            lines.append([name, *(compared(row["contestants"].get(name)) for row in rows)])
    floors = [floor(row) for row in rows]
    if any(floors):
        lines.append(["bwlib / floor", *(spread(quotient) if quotient else "–" for quotient in floors)])
    return table(header, lines)


# ---------------------------------------------------------------- tables


def machine(results: dict) -> str:
    """Where the parts were measured, one line for each kind of machine and set of versions."""
    found: dict[str, list[str]] = {}
    for part, result in results.items():
        m = result["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in m["versions"].items())
        line = (f"{m['processor']}, {m['cores']} cores, {m['system']}, Python {m['python']}; {versions}; "
                f"BLAS of NumPy and SciPy: {', '.join(m['blas']) or 'unknown'}.")
        found.setdefault(line, []).append(part)
    if len(found) == 1:
        return next(iter(found))
    return "\n\n".join(f"*{', '.join(names)}*: {line}" for line, names in found.items())


def contestants(results: dict) -> str:
    return table(["contestant", "kind", "takes part"],
                 [[row["name"], row["kind"], row["absent"] and f"no: {row['absent']}" or "yes"]
                  for row in results["peers"]["rows"] if row["kind"] != "floor"], align="---")


def races(results: dict, parts: Sequence[str] = COMPARISONS) -> list[tuple[float, str, dict]]:
    """For every comparison the fastest peer with a right answer: its ratio, its name and the row; the strongest rivals first."""
    rows = [row for part in parts for row in results[part]["rows"]]
    found = [(*winner[::-1], row) for row in rows if (winner := fastest(results, row))]
    return sorted(found, key=lambda race: race[0])


def aims(results: dict) -> list[tuple[str, str, bool]]:
    """Each aim, what was measured, and whether it is met."""
    run = races(results)
    ratio, name, row = run[0]
    lost = sum(race[0] < 1 for race in run)
    low = [(*winner, row) for row in results["loss"]["rows"] if row["n"] >= 1000 and row["k"] <= row["n"] / 20
           if (winner := fastest(results, row, ("library",), right=False))]
    library, margin, low_row = min(low, key=lambda item: item[1])
    floors = [(quotient["median"], row) for row in results["loss"]["rows"] if row["n"] >= 500 and (quotient := floor(row))]
    above, floor_row = max(floors, key=lambda item: item[0])
    near = sum(quotient <= 1.5 for quotient, _ in floors)
    deep = min(row["contestants"]["public code"]["ratio"]["median"]
               for row in select(results, "training", n=20, depth=100))
    load = select(results, "imports", name="bwlib")[0]["seconds"]["median"]
    dense = {threads: [min(row["contestants"]["NumPy by hand"]["ratio"]["median"]
                           for row in select(results, "scale", what=what, threads=threads)
                           if (row["n"], row["k"]) in ((1000, 20), (2000, 50))) for what in ("value_and_gradient", "value")]
             for threads in (1, 2)}
    return [
        ("never slower than the fastest peer with a right answer",
         f"slower in {lost} of {len(run)} comparisons; the strongest rival: {name} takes {number(ratio)} of our time in "
         f"{described(row)}", lost == 0),
        ("at low rank (k ≤ n/20, n ≥ 1000) at least 50 times the fastest library, whether its answer is right or not",
         f"at least {number(margin)} times ({library}; {described(low_row)})", margin >= 50),
        ("the smoothed loss at (n, k) = (1000, 20) and (2000, 50) at least 15 times as fast as by an eigendecomposition",
         "value and gradient, and the value alone: at least " + ", ".join(
             f"{number(both)} and {number(alone)} times with {threads} thread{'s' * (threads > 1)}"
             for threads, (both, alone) in dense.items()), min(map(min, dense.values())) >= 15),
        ("within 1.5 times of the floor for n ≥ 500",
         f"in {near} of {len(floors)} comparisons; at most {number(above)} times ({described(floor_row)})", above <= 1.5),
        ("at least 15 times the public code's training loop at n = 20, N = 100", f"at least {number(deep)} times", deep >= 15),
        ("import under 0.5 s", f"{load:.2f} s", load < 0.5),
    ]


def aims_table(results: dict) -> str:
    return table(["aim", "measured", "met"], [[aim, found, "met" if met else "**missed**"]
                                              for aim, found, met in aims(results)], align="---")


def behind(results: dict) -> str:
    """All comparisons in which a peer with a right answer is faster, worst first."""
    lines = [[described(row), name, spread(row["contestants"][name]["ratio"])]
             for ratio, name, row in races(results) if ratio < 1]
    return table(["comparison", "fastest", "its time / ours"], lines, align="---") if lines else "Nowhere."


def reasons(results: dict) -> str:
    """For every part in how many comparisons a peer with a right answer is faster, by how much, and why."""
    lines = []
    for part in COMPARISONS:
        ratios = [ratio for ratio, _, _ in races(results, [part])]
        lost = [ratio for ratio in ratios if ratio < 1]
        if lost:
            lines.append([part, f"{len(lost)} of {len(ratios)}", f"{number(lost[0])} to {number(lost[-1])}", WHY[part]])
    return table(["part", "slower in", "their time / ours", "why"], lines, align="---")


def limits(results: dict) -> str:
    """What stands between the measurements and the other aims that are missed."""
    floors = [(row, quotient["median"]) for row in select(results, "loss", threads=1)
              if row["n"] >= 500 and (quotient := floor(row))]
    sums = [quotient for row, quotient in floors if row["tau"] > 0 and row["k"] <= row["n"] / 20]
    others = [quotient for row, quotient in floors if not (row["tau"] > 0 and row["k"] <= row["n"] / 20)]
    n, k, tau = 1000, 20, 0.1
    deep = [(row["contestants"]["public code"]["ratio"]["median"], floor(row)["median"])
            for row in select(results, "training", n=20, depth=100)]
    ratio, quotient = min(deep)
    return (f"- **The floor.** For $\\tau>0$ and $k\\le n/20$ it counts two products and no decomposition. `bwlib` sums over the "
            f"nodes of a rational function, {nodes(n, k, tau)} of them at $n={n}$, $k={k}$, $\\tau={tau}$, and each costs another "
            f"product of an $n\\times k$ matrix, or two with the gradient: with one thread {number(min(sums))} to "
            f"{number(max(sums))} times the floor. In the other {len(others)} comparisons with one thread it is "
            f"{number(min(others))} to {number(max(others))} times.\n"
            f"- **The public code's loop.** At $n=20$, $N=100$ a step of it takes {number(ratio)} times a step of `bwlib`, and "
            f"{number(ratio * quotient)} times the floor: one SVD and the products are most of a step already.\n"
            f"- **The smoothed loss with two threads.** The eigendecomposition gains from a second thread, the many small "
            f"products of the sum over nodes hardly do.")


def nodes(n: int, k: int, tau: float) -> int:
    """How many terms the sum of :mod:`bwlib.rational` has for a problem."""
    problem = cases.problem(n, k, tau)
    lam, largest = np.linalg.eigvalsh(problem.target), np.linalg.norm(problem.factor.T @ problem.W, 2)
    return len(inverse_root_nodes(tau * lam[0], tau * lam[-1] + largest**2)[0])


def losses(results: dict, what: str, tau: float, *, threads: int = 1, part: str = "loss") -> str:
    rows = select(results, part, what=what, tau=tau, threads=threads)
    return by_contestant(results, rows, ["n, k", *(f"{row['n']}, {row['k']}" for row in rows)])


def stacks(results: dict, threads: int = 1) -> str:
    rows = select(results, "stacks", threads=threads)
    return by_contestant(results, rows, ["contestant", *(WHATS[row["what"]] + (", τ = 0.1" if row["tau"] else "")
                                                        for row in rows)])


def scale(results: dict, what: str, threads: int = 1) -> str:
    rows = select(results, "scale", what=what, threads=threads)
    return by_contestant(results, rows, ["n, k, τ", *(f"{row['n']}, {row['k']}, {row['tau']:g}" for row in rows)])


def trainings(results: dict, *, threads: int = 1, part: str = "training") -> str:
    rows = select(results, part, threads=threads)
    text = by_contestant(results, rows, ["n, N", *(f"{row['n']}, {row['depth']}" for row in rows)])
    rates = ["**bwlib**, steps per second", *(number(1 / row["contestants"]["bwlib"]["seconds"]["median"])
                                              for row in rows)]
    head, rule, *lines = text.splitlines()
    return "\n".join([head, rule, "| " + " | ".join(rates) + " |", *lines])


def exponents(results: dict) -> str:
    """The slopes of log time against log n and against log k."""
    lines = []
    for tau in (0.0, 0.1):
        for along, fixed, value in (("n", "k", 20), ("k", "n", 1000)):
            rows = [row for row in select(results, "growth", tau=tau) if row[fixed] == value]
            names = [name for name in rows[0]["contestants"] if all("seconds" in row["contestants"].get(name, {})
                                                                    for row in rows)]
            slopes = {name: slope([row[along] for row in rows], times(rows, name)) for name in names}
            lines.append((tau, along, f"{fixed} = {value}", slopes))
    names = list(dict.fromkeys(name for *_, slopes in lines for name in slopes))
    return table(["τ", "grows with", "at", *names],
                 [[f"{tau:g}", along, fixed, *(f"{slopes[name]:.2f}" if name in slopes else "–" for name in names)]
                  for tau, along, fixed, slopes in lines])


def times(rows: Sequence[dict], name: str) -> list[float]:
    return [row["contestants"][name]["seconds"]["median"] for row in rows]


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def flows(results: dict) -> str:
    rows = results["flows"]["rows"]
    return table(["N", *(str(row["depth"]) for row in rows)], [
        ["in function space", *(spread(row["contestants"]["bwlib"]["seconds"], duration) for row in rows)],
        ["all layers", *(spread(row["contestants"]["all layers"]["seconds"], duration) for row in rows)],
        ["ratio", *(spread(row["contestants"]["all layers"]["ratio"]) for row in rows)]])


def whole_grid(results: dict) -> str:
    """What the paper's grid costs: the stored run, the sample scaled up, and step by step at two measured speeds."""
    row, = results["grid"]["rows"]
    scaled = row["total"] * row["cells"] / row["sample"]
    lines = [["flow in function space, the stored run", long_duration(row["stored"]["seconds"] * row["stored"]["processes"])],
             [f"flow in function space, from {row['sample']} cells timed here", long_duration(scaled)]]
    steps = select(results, "training", n=20, threads=1)
    depths = [step["depth"] for step in steps]
    for name, whose in (("bwlib", "bwlib"), ("public code", "the public code")):
        total = sum(t / 1e-5 * np.interp(int(depth), depths, times(steps, name)) for depth, t in row["flow_time"].items())
        lines.append([f"steps of 1e-5 on the layers, at the speed of {whose}", long_duration(total)])
    return table([f"{row['cells']} cells", "processor time"], lines)


def imports(results: dict) -> str:
    lines = []
    for row in results["imports"]["rows"]:
        lines.append([row["name"], row["raised"], "–"] if "raised" in row else
                     [row["name"], spread(row["seconds"], duration), f"{row['peak'] / 1e6:.0f} MB"])
    return table(["library", "time", "memory then"], lines)


def memory(results: dict) -> str:
    rows = results["memory"]["rows"]
    taus = list(dict.fromkeys(row["tau"] for row in rows))
    header = [f"n = {rows[0]['n']}, k = {rows[0]['k']}",
              *(f"{title}, τ = {tau:g}" for tau in taus for title in ("added by the call", "peak"))]
    lines = []
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = {row["tau"]: row for row in rows if row["name"] == name}
        lines.append([name, *(mine[tau]["raised"] if "raised" in mine[tau] else f"{mine[tau][key] / 1e6:.0f} MB"
                              for tau in taus for key in ("added", "peak"))])
    return table(header, lines)


def accuracy(results: dict, question: str) -> str:
    """The relative errors of all contestants, one line for each case."""
    rows = select(results, "accuracy", question=question)
    names = [name for name in kinds(results) if any(name in row["errors"] for row in rows)]
    return table(["case", "size", *names],
                 [[row["case"], f"{row['size']:.0e}", *(error(row["errors"].get(name, "–")) for name in names)]
                  for row in rows])


def error(found: float | str) -> str:
    if isinstance(found, str):
        return found.removeprefix("raises ") if found.startswith("raises") else found
    return "exact" if found == 0 else f"{found:.0e}"


def wrong_answers(results: dict) -> str:
    """How often each contestant's answers to the timed problems were not right."""
    lines = []
    for name, kind in kinds(results).items():
        entries = [row["contestants"][name] for part in COMPARISONS for row in results[part]["rows"]
                   if name in row["contestants"]]
        if kind not in PEERS or not entries:
            continue
        off = [entry["difference"] for entry in entries if "difference" in entry and not is_right(entry)]
        finite = [x for x in off if not math.isnan(x)]
        raised = sorted({entry["raised"].split(":")[0] for entry in entries if "raised" in entry})
        lines.append([name, str(len(entries)), str(len(off) - len(finite)), str(len(finite)),
                      f"{max(finite):.0e}" if finite else "–",
                      f"{sum('raised' in entry for entry in entries)} ({', '.join(raised)})" if raised else "0"])
    return table(["contestant", "problems", "NaN", "off by more than 1e-6", "furthest off", "raises"], lines)


# ---------------------------------------------------------------- figures


def draw_losses(results: dict, what: str = "value_and_gradient"):
    """The ratios with their quartiles, over the sizes, for both values of tau."""
    fig, (axes,) = plotting.figure(2, width=4.6, height=3.8)
    for ax, tau in zip(axes, (0.0, 0.1)):
        rows = select(results, "loss", what=what, tau=tau, threads=1)
        for i, name in enumerate(name for name, kind in kinds(results).items() if kind in PEERS):
            points = [(x, row["contestants"][name]["ratio"]) for x, row in enumerate(rows)
                      if is_right(row["contestants"].get(name, {}))]
            if points:
                x, ratios = zip(*points)
                middle, low, high = (np.array([r[key] for r in ratios]) for key in ("median", "low", "high"))
                ax.errorbar(np.array(x) + 0.05 * (i - 4), middle, [middle - low, high - middle], label=name,
                            marker="osD^v<>Px*"[i % 10], markersize=5, linewidth=1, capsize=2, linestyle=":",
                            color=plotting.COLOURS[i % len(plotting.COLOURS)])
        ax.axhline(1, color="black", linewidth=1)
        ax.set(yscale="log", title=f"$\\tau={tau:g}$", xticks=range(len(rows)))
        ax.set_xticklabels([f"{row['n']}\n{row['k']}" for row in rows])
        ax.set_xlabel("$n$ and $k$")
    axes[0].set_ylabel("time / time of bwlib")
    fig.legend(*merged(axes), loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    plotting.plt.show()


def merged(axes) -> tuple[list, list]:
    """The entries of the legends of several axes, each once."""
    entries = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels())}
    return list(entries.values()), list(entries)


def draw_growth(results: dict):
    """Times against n and against k."""
    fig, (axes,) = plotting.figure(2, width=4.4, height=3.6)
    for ax, (along, fixed, value) in zip(axes, (("n", "k", 20), ("k", "n", 1000))):
        for tau, line, label in ((0.0, "-", ""), (0.1, "--", r", $\tau=0.1$")):
            rows = sorted((row for row in select(results, "growth", tau=tau) if row[fixed] == value),
                          key=lambda row: row[along])
            for i, name in enumerate(("bwlib", "NumPy by hand", "torch by hand", "jax by hand")):
                found = [row for row in rows if "seconds" in row["contestants"].get(name, {})]
                if found:
                    ax.loglog([row[along] for row in found], times(found, name), line, marker="o", markersize=4,
                              color=plotting.COLOURS[i], label=name + label)
        ticks = sorted({row[along] for row in rows})
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.xaxis.set_tick_params(which="minor", bottom=False, labelbottom=False)
        ax.set(xlabel=f"${along}$, at ${fixed}={value}$", ylabel="seconds")
    fig.legend(*merged(axes), loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    plotting.plt.show()


def draw_training(results: dict):
    """Steps per second against the depth."""
    rows = select(results, "training", n=20, threads=1)
    names = [name for name in rows[0]["contestants"] if "seconds" in rows[0]["contestants"][name]
             and not name.startswith("floor")]
    series = {name: 1 / np.array(times(rows, name)) for name in names}
    series["floor"] = np.array([floor(row)["median"] for row in rows]) * series["bwlib"]
    plotting.curves([row["depth"] for row in rows], series, xlabel="depth $N$", ylabel="steps per second", log="xy")
    plotting.plt.show()


def draw_flows(results: dict):
    """Time of the two flows against the depth."""
    rows = results["flows"]["rows"]
    plotting.curves([row["depth"] for row in rows],
                    {"in function space": times(rows, "bwlib"), "all layers": times(rows, "all layers")},
                    xlabel="depth $N$", ylabel="seconds", log="xy")
    plotting.plt.show()


# ---------------------------------------------------------------- for the terminal


def summary(results: dict) -> str:
    """What a quick run has found, a line for each comparison."""
    lines = []
    for part, result in results.items():
        for row in result["rows"]:
            if "contestants" in row and part != "flows":
                ours = row["contestants"]["bwlib"]["seconds"]["median"]
                lines.append(f"{described(row)}: bwlib {duration(ours)}; times of the others, divided by it: " + ", ".join(
                    f"{name} {spread(entry['ratio']) if name.startswith('floor') and 'ratio' in entry else compared(entry)}"
                    for name, entry in row["contestants"].items() if name != "bwlib"))
    return "\n".join(lines)
