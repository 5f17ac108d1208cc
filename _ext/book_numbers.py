"""Sphinx extension: letters for appendices, so that their statements read "Lemma A.3".

``appendix_letters`` in the configuration maps a page to its letter.
"""
from __future__ import annotations

from docutils import nodes


def letter_appendices(app, env):
    for docname, letter in app.config.appendix_letters.items():
        if docname not in env.all_docs:
            continue
        for numbers in env.toc_fignumbers.get(docname, {}).values():
            for key, number in numbers.items():
                if number[:1] != (letter,):
                    numbers[key] = (letter, *number[-1:])
        env.titles[docname]["secnumber"] = (letter,)
        env.toc_secnumbers[docname] = {"": (letter,)}
        for depth_one, item in enumerate(sections_of(env.tocs[docname]), start=1):
            link = item.next_node(nodes.reference)
            link["secnumber"] = (letter, depth_one)
            env.toc_secnumbers[docname][link["anchorname"]] = (letter, depth_one)
        env.tocs[docname].next_node(nodes.reference)["secnumber"] = (letter,)


def sections_of(toc):
    """The list items of the second level of a page's table of contents."""
    top = toc.next_node(nodes.list_item)
    lists = [child for child in top.children if isinstance(child, nodes.bullet_list)]
    return [item for items in lists for item in items.children if isinstance(item, nodes.list_item)]


def setup(app):
    app.add_config_value("appendix_letters", {}, "env")
    app.connect("env-updated", letter_appendices)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
