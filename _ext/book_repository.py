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


def show_source_buttons(app, config):
    options = config.html_theme_options
    options["use_repository_button"] = options["use_edit_page_button"] = bool(options.get("repository_url"))


def add_launch_buttons(app, pagename, templatename, context, doctree):
    address = app.config.html_theme_options.get("repository_url")
    if not address or pagename not in [page.docname for page in plain_pages()]:
        return
    links = launch_links(address, f"complete/{Path(pagename).name}.ipynb")
    icons = {"Binder": "_static/images/logo_binder.svg", "Colab": "_static/images/logo_colab.png"}
    buttons = [{"type": "link", "text": name, "tooltip": f"Open this page as a notebook in {name}", "url": url,
                "icon": icons[name]} for name, url in links.items()]
    context["header_buttons"].append({"type": "group", "tooltip": "Run this page", "icon": "fas fa-rocket",
                                      "buttons": buttons, "label": "launch-buttons"})


def setup(app):
    app.connect("config-inited", show_source_buttons)
    app.connect("html-page-context", add_launch_buttons, priority=502)  # after the theme has made its list
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
