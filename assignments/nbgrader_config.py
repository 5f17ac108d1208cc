"""Settings of the nbgrader course in this folder (read by `nbgrader` and by `make release`, `grade`, `feedback`)."""
from pathlib import Path

c = get_config()  # noqa: F821
c.CourseDirectory.root = str(Path(__file__).resolve().parent)
c.CourseDirectory.db_url = f"sqlite:///{c.CourseDirectory.root}/gradebook.db"
