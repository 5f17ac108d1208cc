"""Test set-up shared by pytest and by the kernels that nbval starts."""
from __future__ import annotations

import base64
import io
import os
from pathlib import Path

ROOT = Path(__file__).parent

# The kernels inherit these.  One BLAS thread: results are then the same from run to run, and
# several test processes do not compete for the cores.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("PYTHONHASHSEED", "0")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))

PNG_KEYS = ("image/png",)
INK_TOLERANCE = 0.03  # share of the drawn pixels that may differ clearly


def _grey(picture: str):
    import numpy as np
    from PIL import Image, ImageFilter

    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("L").filter(ImageFilter.GaussianBlur(2)), dtype=float)


def _pictures(outputs) -> list[str]:
    return [o["data"][key] for o in outputs for key in PNG_KEYS if key in o.get("data", {})]


def compare_pictures(stored: list[str], drawn: list[str]) -> str | None:
    """A complaint, or None if the two lists of pictures agree."""
    if len(stored) != len(drawn):
        return f"{len(stored)} stored pictures, {len(drawn)} drawn now"
    for i, (a, b) in enumerate(zip(stored, drawn)):
        a, b = _grey(a), _grey(b)
        if abs(a.shape[0] - b.shape[0]) > 6 or abs(a.shape[1] - b.shape[1]) > 6:
            return f"picture {i}: {a.shape} stored, {b.shape} drawn now"
        height, width = min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1])
        a, b = a[:height, :width], b[:height, :width]
        ink = (a < 245) | (b < 245)
        off = (abs(a - b)[ink] > 40).mean() if ink.any() else 0.0
        if off > INK_TOLERANCE:
            return f"picture {i}: {off:.1%} of its drawn pixels differ from the stored one"
    return None


def pytest_configure(config):
    import matplotlib.font_manager  # noqa: F401  build the font cache before a cell can report it

    try:
        from nbval import plugin
    except ImportError:
        return
    original = plugin.IPyNbCell.compare_outputs
    if getattr(original, "compares_pictures", False):
        return

    def compare_outputs(self, test, ref, skip_compare=None):
        skip = tuple(skip_compare or self.parent.skip_compare) + PNG_KEYS
        if not original(self, test, ref, skip_compare=skip):
            return False
        complaint = compare_pictures(_pictures(ref), _pictures(test))
        if complaint:
            self.comparison_traceback.append(complaint)
        return complaint is None

    compare_outputs.compares_pictures = True
    plugin.IPyNbCell.compare_outputs = compare_outputs
