"""Sphinx extension: what a public address of the repository makes possible.

The one place for the address is ``repository: url`` in _config.yml.  If it is set, every page leads to
the repository and to the editor of its source, and every page with a plain notebook (see
tools/notebooks) opens in Binder and Colab; these read the branch ``notebooks``, to which the output of
``make notebooks`` is pushed.  If it is empty, no page offers anything of this kind.
"""
from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent))
import book_sources  # noqa: E402

BRANCH = "notebooks"
APPENDICES = ("appendix_toolbox", "appendix_notation")


def plain_pages() -> list[book_sources.Page]:
    """The pages of the plain edition, in their order."""
    pages = {page.path.stem: page for page in book_sources.pages()}
    return [page for page in pages.values() if page.is_chapter] + [pages[name] for name in APPENDICES]


def launch_links(address: str, notebook: str) -> dict[str, str]:
    """Where services open a plain notebook, such as ``complete/02_bures_wasserstein.ipynb``."""
    address = address.rstrip("/").removesuffix(".git")
    host, owner, name = address.rsplit("/", 2)
    if host == "https://github.com":
        return {"Binder": f"https://mybinder.org/v2/gh/{owner}/{name}/{BRANCH}?urlpath=lab/tree/{notebook}",
                "Colab": f"https://colab.research.google.com/github/{owner}/{name}/blob/{BRANCH}/{notebook}"}
    return {"Binder": f"https://mybinder.org/v2/git/{quote(address, safe='')}/{BRANCH}?urlpath=lab/tree/{notebook}"}


def add_buttons(app, pagename, templatename, context, doctree):
    """One more group of buttons at the head of a page.  The theme's own have an icon that book_theme cannot draw."""
    address = app.config.html_theme_options.get("repository_url")
    if not address or not doctree:
        return
    buttons = []
    if pagename in [page.docname for page in plain_pages()]:
        links = launch_links(address, f"complete/{Path(pagename).name}.ipynb")
        buttons += [button(f"Open in {name}", url, "fas fa-rocket") for name, url in links.items()]
    buttons += [button("Suggest an edit", context["get_edit_provider_and_url"]()[1], "fas fa-pencil"),
                button("Repository", address, "fas fa-code-branch")]
    context["header_buttons"].append({"type": "group", "tooltip": "Run or edit this page", "icon": "fas fa-rocket",
                                      "buttons": buttons, "label": "repository-buttons"})


def button(text: str, url: str, icon: str) -> dict[str, str]:
    return {"type": "link", "text": text, "tooltip": text, "url": url, "icon": icon}


def setup(app):
    app.connect("html-page-context", add_buttons, priority=502)  # after the theme has made its list
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
