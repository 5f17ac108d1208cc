"""Draw the cover of the book, its emblem and the picture for links to it:  python tools/cover.py

All three show one run of gradient descent: the circle of the noise becomes the ellipse of the target.  The picture for
links (1200 x 630) needs Chromium; without it, only the two drawings are written.
"""
from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import bwlib as bw

STATIC = Path(__file__).resolve().parents[1] / "_static"
BLUE, OCHRE, TILE = (47, 127, 186), (217, 154, 43), "#0b5c96"
STEPS = 33


def trained(steps: int = STEPS) -> list[np.ndarray]:
    """End-to-end matrices of three layers that start at the identity, at equal distances along the run."""
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    target = bw.Covariance.from_spectrum([4.2, 0.35], eigenvectors=turn)
    start = bw.balanced_network(np.eye(2), (2, 2, 2, 2))
    run = bw.gradient_descent(start, bw.BuresLoss(target), 0.002, max_steps=4000)
    matrices = [network.end_to_end() for network in run.networks]
    way = np.cumsum([0.0, *(bw.bures_wasserstein(a @ a.T, b @ b.T) for a, b in zip(matrices, matrices[1:]))])
    return [matrices[int(np.searchsorted(way, s))] for s in np.linspace(0, way[-1] * 0.999, steps)]


def ellipse(W: np.ndarray, x: float, y: float, scale: float, style: str) -> str:
    """The image of the unit circle under W, as an element of a drawing whose second axis points down."""
    axes, sizes, _ = np.linalg.svd(W)
    angle = -np.degrees(np.arctan2(axes[1, 0], axes[0, 0]))
    angle = (angle + 90) % 180 - 90
    return (f'<ellipse rx="{scale * sizes[0]:.2f}" ry="{scale * sizes[1]:.2f}" '
            f'transform="translate({x:.2f} {y:.2f}) rotate({angle:.2f})" {style}/>')


def drawing(width: int, height: int, parts: list[str]) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" fill="none">\n'
            + "\n".join(parts) + "\n</svg>\n")


def cover(matrices: list[np.ndarray]) -> str:
    """The ellipses in a row, from the noise on the left to the target on the right."""
    shares = np.linspace(0, 1, len(matrices))
    parts = []
    for s, W in zip(shares, matrices):
        colour = "#" + "".join(f"{round(a + s * (b - a)):02x}" for a, b in zip(BLUE, OCHRE))
        end = s in (0, 1)
        style = f'stroke="{colour}" stroke-width="{3 if end else 1.2}"' + ("" if end else ' stroke-opacity="0.75"')
        parts.append(ellipse(W, 75 + 540 * s, 95, 44, style))
    return drawing(700, 190, parts)


def emblem(matrices: list[np.ndarray]) -> str:
    """The first and the last ellipse of the row on a tile."""
    return drawing(32, 32, [
        f'<rect width="32" height="32" rx="6" fill="{TILE}"/>',
        ellipse(matrices[0], 11, 20.5, 5.6, 'stroke="#fff" stroke-width="2.1"'),
        ellipse(matrices[-1], 17.5, 14.5, 5.6, 'stroke="#f6c15b" stroke-width="2.3"')])


def picture(browser: str, target: Path) -> None:
    """The cover with the title, in the letters of the book."""
    page = f"""<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="{(STATIC / 'fonts.css').as_uri()}">
<style>
  body {{ margin: 0; width: 1200px; height: 630px; box-sizing: border-box; padding: 70px 80px 0; background: #fff;
         border-bottom: 18px solid {TILE}; font-family: "Book Sans"; color: #1d2530; overflow: hidden; }}
  h1 {{ margin: 0; font-size: 76px; line-height: 1.1; font-weight: 600; letter-spacing: -0.01em; }}
  p {{ margin: 22px 0 38px; font-family: "Book Serif"; font-size: 34px; color: #5a6472; }}
  img {{ width: 1040px; }}
</style>
<h1>Generative deep linear networks</h1>
<p>A textbook that runs: training with the Bures–Wasserstein loss</p>
<img src="{(STATIC / 'cover.svg').as_uri()}">"""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "picture.html"
        source.write_text(page, encoding="utf-8")
        subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                        "--disable-background-networking", "--disable-component-update", "--disable-sync",
                        f"--user-data-dir={folder}/profile", "--hide-scrollbars", "--window-size=1200,630",
                        "--virtual-time-budget=3000", f"--screenshot={target}", source.as_uri()],
                       check=True, capture_output=True)


def main() -> None:
    matrices = trained()
    (STATIC / "cover.svg").write_text(cover(matrices), encoding="utf-8")
    for name in ("logo.svg", "favicon.svg"):
        (STATIC / name).write_text(emblem(matrices), encoding="utf-8")
    print("cover.svg, logo.svg and favicon.svg are drawn")
    if browser := shutil.which("chromium"):
        picture(browser, STATIC / "social.png")
        print("social.png is drawn")


if __name__ == "__main__":
    main()
