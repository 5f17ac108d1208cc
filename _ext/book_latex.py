"""Sphinx extension: the book as one LaTeX document, from which ``make pdf`` makes the PDF.

All numbers are those of the HTML: they are taken from Sphinx, never counted anew.  Statements,
proofs, exercises, solutions and code cells become environments of ``_latex/textbook.sty``; the
front page becomes the first chapter, the captions of the table of contents become parts.
"""
from __future__ import annotations

import re
from pathlib import Path

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.builders.latex.nodes import thebibliography
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.texescape import escape
from sphinx_exercise.nodes import exercise_enumerable_node, solution_node

ROOT = Path(__file__).resolve().parents[1]
DRAWN_AGAIN = "build/figures"  # see tools/pdf.py
COLOURS = {"definition": "definition"}
WHOLE = 12  # so many lines of code, or rows of a table, stay on one page
WEB_ONLY = ("finding-your-way",)  # sections about cards, keys and links
MOVES = " The slider is on the web page of this chapter."


class Tex(nodes.General, nodes.TextElement):
    """Children between two pieces of LaTeX; its ids become labels behind the first piece."""

    def __init__(self, before="", after="", *children, ids=(), labels=()):
        super().__init__("", "", *children, before=before, after=after, ids=list(ids), labels=list(labels))


def visit_tex(self, node):
    self.body.append(node["before"])
    if node["ids"] or node["labels"]:
        self.body.append(self.hypertarget_to(node, anchor=True) + "".join(rf"\label{{{x}}}" for x in node["labels"]))


def depart_tex(self, node):
    self.body.append(node["after"])


# ---------------------------------------------------------------- settings


def set_look(app, config):
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    config.latex_elements = {
        "pointsize": "11pt", "papersize": "a4paper", "extraclassoptions": "openany",
        "fontpkg": "", "fncychap": "", "figure_align": "htbp", "contentsname": "", "tocdepth": "", "secnumdepth": "",
        "printindex": "",
        "preamble": "\\usepackage{textbook}\n"
                    f"\\newcommand{{\\thebookversion}}{{{about['version']}}}\n"
                    f"\\newcommand{{\\thebookcolophon}}{{{colophon(about)}}}\n",
    }
    config.latex_docclass = {"manual": "book"}
    config.latex_additional_files = ["_latex/textbook.sty", "_static/generator.png"]
    config.latex_domain_indices = False
    config.latex_use_xindy = False
    config.latex_table_style = ["booktabs"]
    config.today = str(about["date-released"])


def colophon(about):
    paper = about["references"][0]
    names = [f"{person['given-names']} {person['family-names']}" for person in paper["authors"]]
    return "\n\n".join([
        rf"This book grew from {', '.join(names[:-1])} and {names[-1]}, \emph{{{paper['title']}}}, "
        rf"{paper['collection-title']}, volume {paper['volume']}, pages {paper['start']}–{paper['end']}, {paper['year']}. "
        r"Please cite this paper when you use the book.",
        "This is the printed form of a book of notebooks. Numbers of statements, equations, figures and exercises are "
        "the same in both. What the web pages fold is open here. The code that draws the figures is left out; it is in the "
        "notebooks.",
        "Text and figures: Creative Commons Attribution 4.0. Code: BSD 3-Clause."])


# ---------------------------------------------------------------- what the web page has and paper has not


class MarkMovingFigures(SphinxPostTransform):
    """A figure with a slider is printed as its picture; its caption says that the page has more."""

    default_priority = 3  # before MyST-NB chooses one form of each output
    formats = ("latex",)

    def run(self, **kwargs):
        for bundle in self.document.findall(lambda n: n.get("nb_element") == "mime_bundle"
                                            if isinstance(n, nodes.container) else False):
            forms = {form["mime_type"]: form for form in bundle.children}
            if "text/html" in forms and "image/png" in forms:
                for caption in bundle.parent.findall(nodes.caption):
                    caption += nodes.Text(MOVES)


def drop_web_only(app, doctree):
    for section in list(doctree.findall(nodes.section)):
        if set(WEB_ONLY) & set(section["ids"]):
            section.parent.remove(section)


def drop_drawing_code(app, doctree):
    for cell in list(doctree.findall(has_class("tag_hide-input"))):
        for code in list(cell.findall(has_class("cell_input"))):
            code.parent.remove(code)


def use_figures_drawn_again(app, doctree):
    for image in doctree.findall(nodes.image):
        sharp = f"{DRAWN_AGAIN}/{Path(image['uri']).stem}.pdf"
        if (Path(app.srcdir) / sharp).exists():
            image["uri"], image["candidates"] = sharp, {"*": sharp}
            app.env.images.add_file(app.config.root_doc, sharp)


def has_class(name):
    return lambda node: isinstance(node, nodes.Element) and name in node.get("classes", ())


# ---------------------------------------------------------------- numbers and boxes


def docname_of(node):
    while "docname" not in node:
        node = node.parent
    return node["docname"]


def number_of(app, docname, kind, label):
    return ".".join(map(str, app.env.toc_fignumbers[docname][kind][label]))


def set_displays(app, doctree):
    """Displayed formulas with the numbers of the HTML; one that is too wide is made smaller."""
    for math in list(doctree.findall(nodes.math_block)):
        formula = math.astext().strip()
        if r"\\" in formula:
            formula = rf"\begin{{aligned}}{formula}\end{{aligned}}"
        if label := math.get("label"):
            docname = math["docname"]
            number = number_of(app, docname, "displaymath", math["ids"][0])
            before = rf"\begin{{equation}}\tag{{{number}}}\label{{equation:{docname}:{label}}}"
            put(math, Tex(f"{before}\n\\fit{{\\linewidth-4em}}{{{formula}}}\n\\end{{equation}}\n"))
        else:
            put(math, Tex(f"\\begin{{equation*}}\n\\fit{{\\linewidth}}{{{formula}}}\n\\end{{equation*}}\n"))


def number_figures(app, doctree):
    for figure in doctree.findall(nodes.figure):
        if figure["ids"] and any(isinstance(c, nodes.caption) for c in figure):
            number = number_of(app, docname_of(figure), "figure", figure["ids"][0])
            figure.insert(0, Tex(rf"\renewcommand{{\thefigure}}{{{number}}}"))


def put(box, *instead):
    box.parent.replace(box, list(instead))  # replace_self would hand the ids on


def is_statement(node):
    return isinstance(node, nodes.Admonition) and "countertype" in node


def box_statements(app, doctree):
    for box in list(doctree.findall(is_statement)):
        kind, label = box["realtype"], box["label"]
        number = number_of(app, docname_of(box), box["countertype"], label)
        title, badge = box[0].children, Tex("{", "}")
        if title and has_class("provenance")(title[-1]):
            origin = title[-1]["classes"][-1].removeprefix("provenance-")
            badge = Tex(rf"{{\badge{{{origin}}}{{", "}}", nodes.Text(title[-1].astext()))
            title = title[:-1]
        colour = COLOURS.get(kind, "theorem")
        put(box, Tex(rf"\begin{{statement}}{{{colour}}}{{{kind.title()} {number}}}", "\\end{statement}\n",
                     Tex("{", "}", *title, Tex(ids=box["ids"])), badge, *content(box)))


def box_proofs(app, doctree):
    for box in list(doctree.findall(has_class("proof-box"))):
        for mark in list(box.findall(has_class("end-of-proof"))):
            mark.replace_self(Tex(r"\proofend{}"))
        put(box, Tex(r"\begin{bookproof}", "\\end{bookproof}\n", Tex("{", "}", *box[0].children, Tex(ids=box["ids"])),
                     *box.children[1:]))


def box_exercises(app, doctree):
    for box in list(doctree.findall(exercise_enumerable_node)):
        title = [c for c in box[0].children[1:] if c.astext() not in (" (", ")")]
        target = Tex(ids=box["ids"], labels=["exercise:" + box["label"]])
        put(box, Tex(rf"\begin{{exercise}}{{Exercise {exercise_number(app, box)}}}", "\\end{exercise}\n",
                     Tex("{", "}", *title, target), *content(box)))
    for box in list(doctree.findall(solution_node)):
        exercise = app.env.sphinx_exercise_registry[box["target_label"]]["node"]
        heading = f"Solution to Exercise {exercise_number(app, exercise)}"
        mark = "" if marked_in_code(content(box)[-1]) else r"\solutionend"
        put(box, Tex(r"\begin{solution}", f"{mark}\\end{{solution}}\n",
                     Tex("{", "}", nodes.Text(heading), Tex(ids=box["ids"])), *content(box)))


def marked_in_code(part):
    """Put the end mark into the last box of code, if the solution ends with one."""
    while part.children and "box}[" not in part.get("before", ""):
        part = part[-1]
    found = isinstance(part, Tex) and "box}[" in part["before"]
    if found:
        part["before"] = part["before"].replace("[", "[solution ends,")
    return found


def exercise_number(app, exercise):
    docname = app.env.sphinx_exercise_registry[exercise["label"]]["docname"]
    return number_of(app, docname, "exercise", exercise["label"])


def content(box):
    """What stands below the title; sphinx-proof and sphinx-exercise put it into a section of its own."""
    return [c for part in box.children[1:] for c in (part.children if isinstance(part, nodes.section) else [part])]


def box_code(app, doctree):
    """Code on a tint, what it prints beside a rule."""
    printed = {id(code) for cell in doctree.findall(has_class("cell_output")) for code in cell.findall(nodes.literal_block)}
    for code in list(doctree.findall(lambda n: isinstance(n, (nodes.literal_block, nodes.doctest_block)))):
        box = "printed" if id(code) in printed else "code"
        whole = "unbreakable" if code.astext().count("\n") < WHOLE else ""
        put(code, Tex(f"\n\\begin{{{box}box}}[{whole}]\n", f"\\end{{{box}box}}\n", code.deepcopy()))


# ---------------------------------------------------------------- tables

SIZES = (("small", 86), ("footnotesize", 95))  # and the characters on a line
FULL = 0.8  # share of a line that the longest words of all columns may take


def fit_tables(app, doctree):
    """Columns at least as wide as their longest word; what is left goes where there is most text."""
    for table in list(doctree.findall(nodes.table)):
        for entry in table.findall(nodes.entry):
            if not entry.astext():
                entry.clear()
        rows = [[list(words_of(entry)) for entry in row.findall(nodes.entry)] for row in table.findall(nodes.row)]
        size, scale, spec = columns(list(zip(*rows)))
        frame = (f"\\begin{{scaled}}{{{scale:.2f}}}", "\\end{scaled}") if scale > 1 else ("", "")
        if len(rows) > WHOLE and scale == 1:
            table["classes"].append("longtable")
        put(table, Tex(f"\n{{\\{size}{frame[0]}\n", f"{frame[1]}}}\n", addnodes.tabular_col_spec(spec=spec), table.deepcopy()))


def words_of(entry):
    """Words, formulas and pieces of code with the characters they take, roughly: a TeX command counts as one."""
    for leaf in entry.findall(lambda n: isinstance(n, (nodes.Text, nodes.math))):
        if isinstance(leaf, nodes.math):
            yield 0.75 * len(re.sub(r"[{}^_]", "", re.sub(r"\\[A-Za-z]+", "x", leaf.astext())))
        elif not isinstance(leaf.parent, nodes.math):
            scale = 1.05 if isinstance(leaf.parent, nodes.literal) else 1
            yield from (scale * (len(word) + 1) for word in leaf.split(" "))


def columns(table):
    """The size of the letters, how much too wide the table still is, and its columns for LaTeX."""
    most = [max(map(sum, column)) for column in table]
    widths = [max(map(max, filter(None, column)), default=0) for column in table]
    text = [sum(map(sum, column)) for column in table]
    gaps = 1.6 * len(table)
    size, line = next((s for s in SIZES if sum(widths) + gaps <= FULL * s[1]), SIZES[-1])
    scale = max(1, (sum(widths) + gaps) / (FULL * line))
    line *= scale
    if sum(most) + gaps <= line:
        return size, scale, "l" * len(table)
    for _ in table:  # a column that has enough leaves the rest to the others
        hungry = [t if w < m else 0 for t, w, m in zip(text, widths, most)]
        slack = (line - gaps - sum(widths)) / max(sum(hungry), 1)
        widths = [min(w + slack * t, m) if t else w for w, t, m in zip(widths, hungry, most)]
    return size, scale, "".join(rf">{{\raggedright\arraybackslash}}p{{{w / line:.3f}\linewidth}}" for w in widths)


# ---------------------------------------------------------------- the order of the book


def arrange(app, doctree):
    """The front page as a chapter without number, then parts and appendices, each with its chapters."""
    front = next(doctree.findall(nodes.section))
    for section in [s for part in front.children if not is_toctree(part) for s in part.findall(nodes.section)]:
        put(section, Tex("\n\\section*{", "}\n", *section[0].children), Tex(ids=section["ids"]), *section.children[1:])
    chapters = [c for c in front.children if is_toctree(c)]
    preface = [c for c in front.children[1:] if not is_toctree(c)]
    front[1:] = [Tex("\\frontchapter{About this book}\n"), Tex(ids=front["ids"]), *preface]
    for part, wrapper in zip(app.config.external_site_map.root.subtrees, chapters, strict=True):
        front += [Tex(part_heading(part.caption)), wrapper]


is_toctree = has_class("toctree-wrapper")


def part_heading(caption):
    if caption == "Appendices":
        return "\n\\appendix\\part*{Appendices}\n"
    return f"\n\\part{{{escape(re.sub(r'^Part [IVX]+: ', '', caption), 'xelatex')}}}\n"


def place_bibliography(app, doctree):
    for works in list(doctree.findall(thebibliography)):
        works.parent.remove(works)
        for section in doctree.findall(nodes.section):
            if section.get("docname", "").endswith("/bibliography"):
                section += works


def place_index(app, doctree):
    """The index has pages here, and takes the place of the list of links."""
    for index in list(doctree.findall(addnodes.index)):
        index["entries"] = [(kind, re.sub(r" \(.*bwlib.*\)$", "", words), *rest) for kind, words, *rest in index["entries"]
                            if kind != "pair" and "module" not in words.split("; ")]
    for section in doctree.findall(nodes.section):
        if section.get("docname", "").endswith("/terms"):
            section[1:] = [Tex("\n\\printindex\n")]


STEPS = (drop_web_only, drop_drawing_code, use_figures_drawn_again, set_displays, number_figures, box_statements, box_proofs,
         box_exercises, box_code, fit_tables, arrange, place_bibliography, place_index)


def rewrite(app, doctree, docname):
    if app.builder.format == "latex":
        for step in STEPS:
            step(app, doctree)


def setup(app):
    app.add_node(Tex, latex=(visit_tex, depart_tex))
    app.add_post_transform(MarkMovingFigures)
    app.connect("config-inited", set_look, priority=900)
    app.connect("doctree-resolved", rewrite, priority=950)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
