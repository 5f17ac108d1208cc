"""The prose of the project: spelling, one word for one thing, no filler, sentences that can be read.

British spelling.  Words that the dictionary does not know are listed in tests/words.txt, one a line.
"""
from __future__ import annotations

import re
import warnings
from pathlib import Path

import prose
import pytest
from spylls.hunspell import Dictionary

WORDS = Path(__file__).with_name("words.txt")
LONGEST = 60  # words between two full stops or semicolons

TERMS = [  # what is said here, and the forms that are not
    ("minimise, factorisation, analyse",
     r"(?!(?:re)?siz|seiz|priz|capsiz)\w+(?:iz(?:e[drs]?|ers?|ing|able|ations?)|yz(?:e[drs]?|ing))"),
    ("colour, neighbour, behaviour", r"(?:col|neighb|behavi|fav|tum)or\w*"),
    ("centre, fibre, metre, barycentre", r"(?:bary)?center\w*|fibers?|(?:centi|milli)?meters?"),
    ("labelled, modelled", r"(?:label|model|travel|cancel)(?:ed|ing)"),
    ("grey", r"gray\w*"),
    ("towards", r"toward"),
    ("data set", r"datasets?|data-sets?"),
    ("step size", r"stepsizes?|step-sizes?|learning[ -]rates?"),
    ("non-convex, non-negative, non-empty", r"non(?:convex|negative|empty|singular|smooth)\w*"),
    ("nonzero, nonlinear, nondegenerate", r"non-(?:zero|linear|degenerate)\w*"),
    ("semidefinite", r"semi-definite\w*"),
    ("pseudo-inverse", r"pseudoinverses?"),
    ("critical point", r"stationary points?"),
    ("spectral gap", r"eigen(?:value )?gaps?"),
    ("end-to-end matrix", r"end-to-end map|product matri\w+"),
    ("smoothing", r"smoothing parameters?"),
    ("operator norm", r"(?<!\()spectral norms?"),
    ("square loss", r"squared loss|quadratic loss"),
    ("of full rank, a full-rank matrix", r"(?:of|has|have|had) full-rank(?! [a-z¤])"),
    ("rank one, a rank-one matrix", r"rank-[1-9]"),
    ("parametrisation", r"parameteri[sz]\w+"),
    ("rounding error", r"round-?off\w*"),
    ("time scale", r"timescales?|time-scales?"),
    ("read-out", r"readouts?"),
    ("Hessian, Gaussian, Frobenius", r"(?-i:hessian\w*|gaussian\w*|frobenius)"),
    ("cannot, it is, does not", r"can not|\w+n't|(?:it|let|that|there|what)'s|\w+'(?:re|ll|ve)"),
    ("for example, that is, if and only if", r"e\.g\.|i\.e\.|w\.?r\.?t\.?|iff|s\.t\.|etc\."),
]
FILLER = re.compile(
    r"\b(?:clearly|obviously|(?<!acts )trivial(?:ly)?|simply|easily|easy to see|it is easy|of course|note that|"
    r"(?<!only )just(?! (?:above|below|before|after|beyond|found|proved|seen|shown))|needless|surprisingly|interestingly|remarkabl[ey]|"
    r"it turns out|in order to|beautiful|elegant|powerful|amazing|crucial\w*|fascinating|delve\w*|leverage\w*|seamless\w*)\b", re.I)
DOUBLED = re.compile(r"\b([^\W\d]+) \1\b", re.I)
SPACING = re.compile(r"[^\W\d_]{2}[.!?][A-Z]|[^\W\d_],[^\W\d_]|\w [,;:.!?](?: |$)")
WORD = re.compile(r"(?<![\w¤])(?<!¤-)[^\W\d_½¼²]+(?:'[^\W\d_]+)*")
DOUBLE_NAME = re.compile(r"\b[A-ZŁ]\w*[^\W\d_A-Z]-[A-Z]\w+")
SENTENCE = re.compile(r"(?<=[.!?;])[\"”)]*\s+")


@pytest.fixture(scope="module")
def paragraphs():
    return prose.paragraphs()


@pytest.fixture(scope="module")
def used(paragraphs):
    """Each word -> the first place where it occurs."""
    places = {}
    for paragraph in paragraphs:
        for word in WORD.findall(paragraph.text.replace("’", "'")):
            places.setdefault(word.removesuffix("'s"), paragraph.place)
    return places


@pytest.fixture(scope="module")
def english():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the files of the dictionary are closed by the collector
        return Dictionary.from_files("en_US").lookup


def found(pattern, paragraphs):
    """Every place where a pattern occurs, with the words around it."""
    return [f"{p.place}: {p.text[max(0, m.start() - 30):m.end() + 30]}"
            for p in paragraphs for m in re.finditer(pattern, p.text)]


def refused(term):
    return re.compile(rf"(?<![\w-])(?:{dict(TERMS)[term]})(?![\w-])", re.I)


def none(places, rule):
    assert not places, "\n".join([rule, *places])


def known(word, words) -> bool:
    """Is the word in the list, perhaps with a capital at the start of a sentence?"""
    return word in words or word[0].lower() + word[1:] in words


def test_spelling(used, english):
    words = set(WORDS.read_text(encoding="utf-8").split())
    none([f"{place}: {word}" for word, place in used.items() if not english(word) and not known(word, words)],
         "correct them, or add them to tests/words.txt")


def test_word_list(used, english):
    words = WORDS.read_text(encoding="utf-8").split()
    assert words == sorted(set(words), key=lambda word: (word.lower(), word)), "sorted, each word once"
    unknown = [word for word in used if not english(word)]
    none([word for word in words if not any(known(other, {word}) for other in unknown)],
         "words that nobody uses, or that the dictionary knows")


@pytest.mark.parametrize("term", dict(TERMS))
def test_one_word_for_one_thing(paragraphs, term):
    none(found(refused(term), paragraphs), f"we write: {term}")


def test_double_names(paragraphs):
    """Bures–Wasserstein on the pages; a hyphen in the library and in the files beside it, which are read as plain text."""
    plain = [p for p in paragraphs if p.place.startswith(("bwlib", *prose.PAPERS))]
    none(found(DOUBLE_NAME, [p for p in paragraphs if p not in plain]), "an en dash joins two names")
    none(found("Bures–", plain), "Bures-Wasserstein in plain text")


@pytest.mark.parametrize("pattern", [FILLER, DOUBLED, SPACING], ids=["filler", "a word twice", "spaces"])
def test_not_found(paragraphs, pattern):
    none(found(pattern, paragraphs), "not in this book")


def too_long(text):
    return [s for s in SENTENCE.split(text) if len(s.split()) > LONGEST]


def test_sentences_can_be_read(paragraphs):
    none([f"{p.place}: {s}" for p in paragraphs for s in too_long(p.text)], f"more than {LONGEST} words")


# ---------------------------------------------------------------- the checks themselves

PLANTED = [("minimise, factorisation, analyse", "We minimize it."), ("minimise, factorisation, analyse", "Analyzing this"),
           ("data set", "a dataset"), ("step size", "the learning rate"), ("critical point", "Stationary points are"),
           ("nonzero, nonlinear, nondegenerate", "a non-zero entry"), ("colour, neighbour, behaviour", "Neighboring layers"),
           ("of full rank, a full-rank matrix", "it is of full-rank."), ("for example, that is, if and only if", "i.e. zero"),
           ("Hessian, Gaussian, Frobenius", "the frobenius norm"), ("cannot, it is, does not", "It doesn't.")]
SOUND = "The size of a prize, sized and seized: a full-rank matrix of full rank, two step sizes, just below; A acts trivially."


@pytest.mark.parametrize("term, text", PLANTED)
def test_a_planted_form_is_found(term, text):
    assert refused(term).search(text)


def test_planted_faults_are_found():
    assert FILLER.search("Clearly so.") and FILLER.search("It is just a matrix.") and DOUBLED.search("It is the the loss.")
    assert SPACING.search("the end.And then") and SPACING.search("one,two") and SPACING.search("a word , and")
    assert DOUBLE_NAME.search("by Eckart-Young") and too_long("word " * 61) and not too_long("word; " * 61)
    assert not any(p.search(SOUND) for p in [FILLER, DOUBLED, SPACING, DOUBLE_NAME, *map(refused, dict(TERMS))])


def test_prose_is_what_people_read():
    text = """(sec-x)=
## A *bold* `code` {ref}`claim <sec-y>` of {cite:t}`someone`

:::{prf:theorem} Its title
:label: thm-x
If $x>0$, then [it](https://example.org) holds:

$$ x $$ (eq-x)
:::

```python
wrnog = 1
```
| one | two |
|---|---|
- first
- second"""
    assert [p.text for p in prose.blocks("", prose.plain(text))] == [
        "A bold ¤ claim of ¤", "Its title", "If ¤, then it holds:", "one", "two", "first", "second"]
    assert [p.text for p in prose.comments("", "x = 1  # the step x_1 of f(x), then a/b\n")] == ["the step ¤ of ¤ then ¤"]
