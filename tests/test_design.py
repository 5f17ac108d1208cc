"""The look of the pages: letters from files of the book with their licence, and colours that can be read."""
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[1] / "_static"
FONTS = (STATIC / "fonts.css").read_text(encoding="utf-8")
STYLE = (STATIC / "book.css").read_text(encoding="utf-8")


def test_letters_are_files_of_the_book_and_light():
    named = {STATIC / name for name in re.findall(r'url\("([^"]+)"\)', FONTS)}
    assert named == set((STATIC / "fonts").glob("*.woff2"))
    assert all(path.read_bytes()[:4] == b"wOF2" for path in named)
    assert sum(path.stat().st_size for path in named) < 300e3
    assert FONTS.count("font-display: swap") == FONTS.count("@font-face")


def test_letters_have_their_licence():
    licence = (STATIC / "fonts" / "OFL.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    kinds = {path.name.removesuffix(".woff2").split("-latin")[0] for path in (STATIC / "fonts").glob("*.woff2")}
    assert all(re.search(rf"^{kind}\b.*Copyright", licence, re.MULTILINE) for kind in kinds)


def linear(colour: str) -> list[float]:
    """The three linear parts of an sRGB colour written #rrggbb."""
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    return [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]


def contrast(one: str, other: str) -> float:
    """The contrast of WCAG 2, from 1 to 21."""
    low, high = sorted(sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear(c))) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def mixed(colour: str, ground: str, share: float) -> str:
    """What color-mix(in srgb, colour share, transparent) looks like on the ground."""
    parts = zip(bytes.fromhex(colour[1:]), bytes.fromhex(ground[1:]))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in parts)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_have_contrast(theme):
    block = re.search(rf'html\[data-theme="{theme}"\] \{{(.*?)\}}', STYLE, re.DOTALL)[1]
    values = dict(re.findall(r"--(?:book|pst-color)-([\w-]+): ([^;]+);", block))
    share = float(values["tint"].rstrip("%")) / 100
    kinds = [values[name] for name in ("theorem", "definition", "exercise", "warning", "quiet")]
    grounds = [values["ground"], values["surface"], *(mixed(kind, values["ground"], share) for kind in kinds)]
    for name in ("theorem", "definition", "exercise", "warning", "ours", "quiet", "link", "link-hover"):
        assert min(contrast(values[name], ground) for ground in grounds) >= 4.5, name


def test_contrast_of_known_pairs():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)  # the well-known grey just below 4.5
    assert mixed("#000000", "#ffffff", 0.2) == "#cccccc"
