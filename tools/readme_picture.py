"""Draw the picture of the README with the library: python tools/readme_picture.py"""
from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

import bwlib as bw  # noqa: E402

TARGET = Path(__file__).resolve().parents[1] / "_static" / "generator.png"
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"


def ellipse(factor, angles=np.linspace(0, 2 * np.pi, 241)):
    return factor @ np.stack([np.cos(angles), np.sin(angles)])


def main() -> None:
    turn = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
    target = bw.Covariance.from_spectrum([4.0, 0.5], eigenvectors=turn)
    loss = bw.BuresLoss(target)
    start = bw.balanced_network(turn.T @ np.diag([2.6, 0.9]), (2, 2, 2, 2))
    run = bw.gradient_descent(start, loss, 0.02, max_steps=2000)
    chosen = [0, *(int(np.argmax(run.loss <= run.loss[0] * share)) for share in (0.4, 0.06))]
    rng = np.random.default_rng(3)
    z = rng.standard_normal((2, 400))

    fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.3), constrained_layout=True)
    axes[0].plot(*z, ".", color=GREY, alpha=0.35, markersize=3)
    axes[0].plot(*ellipse(np.eye(2)), color=BLUE, linewidth=2)
    axes[0].set_title("noise $z$, covariance $I$")
    axes[1].plot(*ellipse(target.factor), color=ORANGE, linewidth=3, linestyle="--", label="target")
    for k, fade in zip(chosen, (0.35, 0.6, 1.0)):
        W = run.networks[k].end_to_end()
        axes[1].plot(*ellipse(W), color=BLUE, alpha=fade, linewidth=2, label=f"step {run.t[k] / 0.02:.0f}")
    axes[1].set_title("gradient descent on three layers")
    axes[1].legend(loc="upper left", fontsize=9, frameon=False)
    W = run.networks[-1].end_to_end()
    axes[2].plot(*(W @ z), ".", color=GREY, alpha=0.35, markersize=3)
    axes[2].plot(*ellipse(W), color=BLUE, linewidth=2)
    axes[2].plot(*ellipse(target.factor), color=ORANGE, linewidth=3, linestyle="--")
    axes[2].set_title("generated samples $Wz$")
    for ax in axes:
        ax.set_aspect("equal")
        ax.set(xlim=(-4.2, 4.2), ylim=(-4.2, 4.2), xticks=[], yticks=[])
    fig.savefig(TARGET, dpi=130, facecolor="white", metadata={"Software": None})
    print(f"{TARGET.name}: {run.status}, distance {bw.bures_wasserstein(W @ W.T, target):.1g}")


if __name__ == "__main__":
    main()
