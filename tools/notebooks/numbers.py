"""Numbers and names of statements, formulas, figures and sections, read from the pages of the built book."""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bs4 import BeautifulSoup, Tag


@dataclass(frozen=True)
class Target:
    """Something that a text refers to: its page, and what the book calls it there ("Theorem 2.3", "(5.2)")."""

    page: str
    name: str


@dataclass
class Numbers:
    targets: dict[str, Target]           # by label
    headings: dict[str, list[str]]       # by page: the numbers of its headings ("2.1.", or "")
    titles: dict[str, str]               # by page

    @classmethod
    def of_pages(cls, pages: dict[str, BeautifulSoup]) -> Numbers:
        targets, headings = {}, {}
        for page, soup in pages.items():
            targets |= {label: Target(page, name) for label, name in names(soup.find("article"))}
            headings[page] = soup.find("article").select("section > :is(h1, h2, h3, h4)")
        return cls(targets, {page: [number(h) for h in found] for page, found in headings.items()},
                   {page: f"{number(found[0])} {title(found[0])}".strip() for page, found in headings.items()})

    @classmethod
    def of_book(cls, html: Path) -> Numbers:
        return cls.of_pages({path.stem: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
                             for path in sorted((html / "chapters").glob("*.html"))})


def names(article: Tag):
    """(label, name) of everything on a page that has a number, and of its sections, whose names are their titles."""
    for tag in article.select("div.admonition[id], figure[id]"):
        if caption := tag.select_one(".caption-number"):
            yield tag["id"], caption.get_text().strip()
    for formula in article.select("div.math[id^=equation-]"):
        yield formula["id"].removeprefix("equation-"), re.search(r"\([\w.]+\)", formula.select_one(".eqno").get_text())[0]
    for heading in article.select("section > :is(h1, h2, h3, h4)"):
        labels = [heading.parent["id"], *(span["id"] for span in heading.parent.select(":scope > span[id]"))]
        yield from ((label, title(heading)) for label in labels)


def number(heading: Tag) -> str:
    found = heading.select_one(".section-number")
    return found.get_text().strip() if found else ""


def title(heading: Tag) -> str:
    words = "".join(child.get_text() if isinstance(child, Tag) else child for child in heading.children
                    if not (isinstance(child, Tag) and {"section-number", "headerlink"} & set(child.get("class", []))))
    return re.sub(r"\\\((.*?)\\\)", r"$\1$", words).strip()
