"""Read the files answers/<set>.py: wrong and right answers in blocks."""
import re
from dataclasses import dataclass
from pathlib import Path

HEAD = re.compile(r"(?m)^# %% (\w+) (right|wrong): (.+)$")


@dataclass(frozen=True)
class Answer:
    question: str
    right: bool
    title: str
    code: str


def read_answers(name):
    text = (Path(__file__).parent / "answers" / f"{name}.py").read_text(encoding="utf-8")
    parts = HEAD.split(text)[1:]
    return [Answer(q, kind == "right", title, code.strip()) for q, kind, title, code in zip(*[iter(parts)] * 4)]
