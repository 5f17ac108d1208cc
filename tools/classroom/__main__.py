"""The commands of the classroom: release, grade, feedback."""
from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .course import COURSE, ProblemSet, Refused, set_names


def release(options):
    from .release import generate, make_zip
    for name in [options.set] if options.set else set_names(options.course):
        problem_set = ProblemSet.load(name, options.course)
        path = make_zip(problem_set, generate(problem_set, options.course), options.course)
        print(f"{name}: {path} ({path.stat().st_size // 1000} kB, {sum(problem_set.points.values()):g} points); "
              "no solution text and no hidden test found in it")


def grade(options):
    from .grade import Grader, grade_all
    from .sandbox import Place
    if not options.submissions or not options.roster:
        raise Refused("Say which submissions and which roster:  make grade SET=ps1 SUBMISSIONS=folder ROSTER=roster.csv")
    folder = Path(options.submissions)
    problem_set = ProblemSet.load(options.set or folder.resolve().name, options.course)
    start = time.monotonic()
    grade_all(Grader(problem_set, Place(trusted=options.trust), options.course), folder, Path(options.roster), options.jobs)
    print(f"Time: {time.monotonic() - start:.0f} s")


def feedback(options):
    from .feedback import make_feedback
    if not options.set:
        raise Refused("Say which set:  make feedback SET=ps1 ROSTER=roster.csv")
    make_feedback(ProblemSet.load(options.set, options.course), Path(options.roster) if options.roster else None, options.course)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m classroom", description=f"Problem sets in {COURSE}")
    parser.add_argument("command", choices=["release", "grade", "feedback"])
    parser.add_argument("--set", default="", help="the problem set, for example ps1")
    parser.add_argument("--submissions", default="", help="folder of notebooks, folders or zip archives")
    parser.add_argument("--roster", default="", help="CSV of the enrolled students with a column id")
    parser.add_argument("--jobs", type=int, default=2, help="submissions graded at the same time")
    parser.add_argument("--course", type=Path, default=COURSE, help="the course folder: sources, gradebook, everything written")
    parser.add_argument("--trust", action="store_true", help="run without a sandbox")
    options = parser.parse_args(arguments)
    try:
        {"release": release, "grade": grade, "feedback": feedback}[options.command](options)
    except Refused as refused:
        sys.exit(str(refused))


if __name__ == "__main__":
    main()
