"""Write what the tests counted, and what the rehearsal measured, into the instructors' page."""
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "chapters" / "for_instructors.md"


def table(results) -> str:
    head = ("| set | points by tests | points by hand | questions with tests | wrong answers refused | other right answers accepted |",
            "|---|--:|--:|--:|--:|--:|")
    rows = [f"| {name} | {r['points']:g} | {r['hand']:g} | {r['questions']} | {r['wrong']} of {r['wrong']} | {r['right']} of {r['right']} |"
            for name, r in sorted(results.items()) if name != "hostile"]
    hostile = results["hostile"]
    return "\n".join([*head, *rows, "",
                      f"Each model solution gets all of its points, each blank release none. Of {hostile['submissions']} hostile or damaged "
                      "submissions none got a point that it did not deserve, each that cannot be graded was listed with its reason, and the "
                      "honest submission graded among them got its points."])


def replace_part(name: str, content: str):
    """Put ``content`` between the marks of the generated part ``name``."""
    begin, end = f"<!-- {name}: generated -->", f"<!-- end of {name} -->"
    before, rest = PAGE.read_text(encoding="utf-8").split(begin)
    PAGE.write_text(f"{before}{begin}\n\n{content}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")
