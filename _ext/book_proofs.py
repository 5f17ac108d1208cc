"""Sphinx extension: ``prf:proof`` as a box with a title, its own id and an end mark.

    :::{prf:proof}
    :label: proof-thm-procrustes
    :class: dropdown
    First sentence ...
    :::

The box is titled "Proof of Theorem 2.3" when its label is ``proof-`` followed by the label
of a statement, and "Proof" otherwise; an optional argument is added in brackets.  With the
class ``dropdown`` it is folded on the screen and open on paper.
"""
from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

END_MARK = "\u220e"


class Proof(SphinxDirective):
    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = {"class": directives.class_option, "label": directives.unchanged_required}

    def run(self):
        label = self.options.get("label") or f"proof-{self.env.docname}-{self.env.new_serialno('proof')}"
        box = nodes.admonition(classes=["proof", "proof-box", *self.options.get("class", [])])
        box["ids"] = [nodes.make_id(label)]
        box["label"] = label
        self.set_source_info(box)
        self.state.document.note_explicit_target(box, box)

        title = nodes.title("", "Proof")
        if label.startswith(("proof-thm-", "proof-prop-", "proof-lem-", "proof-cor-")):
            target = label.removeprefix("proof-")
            title += nodes.Text(" of ")
            title += addnodes.pending_xref("", nodes.literal("", target), refdomain="prf", reftype="ref",
                                           reftarget=target, refdoc=self.env.docname, refexplicit=False,
                                           refwarn=True, line=self.lineno)
        if self.arguments:
            extra, messages = self.state.inline_text(f" ({self.arguments[0]})", self.lineno)
            title.extend(extra + messages)
        box += title
        self.state.nested_parse(self.content, self.content_offset, box)
        self.add_end_mark(box)
        return [box]

    @staticmethod
    def add_end_mark(box):
        mark = nodes.inline("", END_MARK, classes=["end-of-proof"])
        last = box[-1]
        if isinstance(last, nodes.paragraph):
            last += [nodes.Text(" "), mark]
        else:
            box += nodes.paragraph("", "", mark, classes=["end-of-proof-line"])


def finish(app, doctree, docname):
    """Titles carry text, not links; ids are unique."""
    for box in list(doctree.findall(lambda n: isinstance(n, nodes.Admonition) and "dropdown" in n["classes"])):
        for link in list(box[0].findall(nodes.reference)):
            link.replace_self(nodes.Text(link.astext()))
    # sphinx-proof and sphinx-exercise give all their inner sections one and the same id
    for section in doctree.findall(nodes.section):
        if section["ids"] in (["proof-content"], ["exercise-content"], ["solution-content"]):
            if section.parent.get("ids"):
                section["ids"] = [section.parent["ids"][0] + "-content"]


def setup(app):
    app.setup_extension("sphinx_proof")
    app.add_directive_to_domain("prf", "proof", Proof, override=True)
    app.connect("doctree-resolved", finish, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
