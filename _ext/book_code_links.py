"""Sphinx extension: names of the library in code lead to their entries of the reference page.

In code cells a name counts if the page imports it from ``bwlib`` or reaches it through ``bw.``
or another alias; in running text if it stands in code font, with or without ``bw.``.
"""
from __future__ import annotations

import functools
import html
import re

from docutils import nodes
from sphinx.util.nodes import make_refnode

import bwlib

BLOCK = re.compile(r"<pre>.*?</pre>", re.S)
TOKEN = r'<span class="(?:n|nn|nc|nf)">[\w.]+</span>'
CHAIN = re.compile(rf'{TOKEN}(?:<span class="o">\.</span>{TOKEN})*')
IMPORT = re.compile(r"^\s*from (bwlib(?:\.\w+)?) import (?:\(([^)]*)\)|(.*))$", re.M)
ALIAS = re.compile(r"^\s*import (bwlib(?:\.\w+)?)(?: as (\w+))?$", re.M)
DEFINED = re.compile(r"^\s*(?:def|class) (\w+)|^(\w+) = ", re.M)


def plain(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", markup))


@functools.cache
def full_names(env) -> dict[str, str]:
    """``bwlib.NAME`` and the like, as code writes them -> the name that the reference page documents."""
    known = {name: name for name in env.get_domain("py").objects if name.split(".")[0] == "bwlib"}
    return known | {"bwlib" + name[len(getattr(bwlib, short).__module__):]: name for name in known
                    for short in [name.split(".")[2] if name.count(".") > 1 else ""]
                    if short in bwlib.__all__ and name.startswith(getattr(bwlib, short).__module__ + ".")}


def imported(code: str) -> dict[str, str]:
    """The names that a page's code gives to the library and its parts."""
    found = {alias or name: name for name, alias in ALIAS.findall(code)}
    for module, bracketed, line in IMPORT.findall(code):
        for part in (bracketed or line).split("#")[0].split(","):
            name, _, alias = part.strip().partition(" as ")
            found[alias or name] = f"{module}.{name}"
    return found


def longest(env, dotted: str) -> tuple[str, int]:
    """The documented name with which a dotted name begins, and the number of its parts."""
    parts = dotted.split(".")
    for n in range(len(parts), 1, -1):
        if name := full_names(env).get(".".join(parts[:n])):
            return name, n
    return "", 0


def link_blocks(app, pagename, templatename, context, doctree):
    blocks = BLOCK.findall(context.get("body", ""))
    names = imported("\n".join(map(plain, blocks)))
    objects = app.env.get_domain("py").objects

    def link(match):
        tokens = re.findall(TOKEN, match.group())
        first, *rest = ".".join(map(plain, tokens)).split(".")
        target = names.get(first, "bwlib" if first == "bwlib" else "")
        name, parts = longest(app.env, ".".join([target, *rest])) if target else ("", 0)
        if not name or len(tokens) == 1 and rest:
            return match.group()
        linked = parts - target.count(".")  # this many tokens spell the name
        markup = '<span class="o">.</span>'.join(tokens[:linked])
        entry = objects[name]
        href = f"{app.builder.get_relative_uri(pagename, entry.docname)}#{entry.node_id}"
        return (f'<a class="code-link" href="{href}">{markup}</a>'
                + "".join('<span class="o">.</span>' + token for token in tokens[linked:]))

    if names:
        context["body"] = BLOCK.sub(lambda block: CHAIN.sub(link, block.group()), context["body"])


def link_words(app, doctree, docname):
    """Code font in running text: ``BuresLoss(target)``, ``bw.polar``; not where the page defines the name itself."""
    own = {name for block in doctree.findall(nodes.literal_block) for pair in DEFINED.findall(block.astext()) for name in pair}
    objects = app.env.get_domain("py").objects
    for word in list(doctree.findall(nodes.literal)):
        match = re.match(r"(?:(?:bw|bwlib)\.)?([\w.]*\w)", word.astext())
        if not match or match[1].split(".")[0] in own or word.get("classes") or isinstance(word.parent, (nodes.reference, nodes.title)):
            continue
        name, _ = longest(app.env, "bwlib." + match[1])
        if name:
            entry = objects[name]
            word.replace_self(make_refnode(app.builder, docname, entry.docname, entry.node_id, word.deepcopy()))


def setup(app):
    app.connect("doctree-resolved", link_words)
    app.connect("html-page-context", link_blocks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
