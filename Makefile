# `make` alone lists what can be asked for.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# One BLAS thread per process (the work is small matrices), and this environment's own kernel.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1
export JUPYTER_PREFER_ENV_PATH := 1

.PHONY: help env book pdf zip test test-nightly test-portability check-pages notebooks test-notebooks lab refresh ledger experiments bench clean \
        classroom release validate grade feedback test-classroom rehearse

help:
	@echo "make book     build the book; says where to open it"
	@echo "make pdf      the whole book as one PDF (needs LaTeX; says which packages)"
	@echo "make zip      the built book, and its PDF if there is one, as one zip file that opens without a network"
	@echo "make test     run every test: library, statements, pages, notebooks"
	@echo "make test-nightly  the property tests of the library with 10,000 new random inputs each (an hour)"
	@echo "make test-portability  the tests of the library on other processors, packages and Pythons (an hour; NOTEBOOKS=1: chapters too)"
	@echo "make check-pages  try every built page in a browser (needs chromium, nodejs, npm)"
	@echo "make notebooks  the chapters as plain notebooks, with and without solutions, and a zip of each"
	@echo "make test-notebooks  run the plain notebooks in a new environment (needs a network)"
	@echo "make lab      open the chapters in JupyterLab"
	@echo "make refresh  run all notebooks again and store their outputs"
	@echo "make ledger   measure the residuals of the statement ledger again"
	@echo "make experiments  compute the stored tables again (QUICK=1: a small part, compared)"
	@echo "make bench    measure speed and accuracy against other libraries (QUICK=1: a small part, not stored)"
	@echo "make release  the students' archives of the problem sets (SET=ps1 for one of them)"
	@echo "make validate NOTEBOOK=ps1.ipynb                             check a notebook before it is handed in"
	@echo "make grade    SET=ps1 SUBMISSIONS=folder ROSTER=roster.csv   grade in a sandbox; writes a CSV of grades"
	@echo "make feedback SET=ps1 ROSTER=roster.csv                      feedback pages, and the CSV again"
	@echo "make test-classroom  test the problem sets and their grading (needs bubblewrap)"
	@echo "make rehearse        release, 40 made-up submissions, grades, feedback; timed"
	@echo "make clean    remove what was built (the environment too)"
	@echo "Options: PYTHON=python3.12 (another Python), VENV=folder (another environment)"

env:
	@$(PYTHON) tools/setup_env.py $(VENV)

book: env
	@echo "Building the book from its sources, warnings as errors ..."
	@rm -rf _build
	@$(BIN)/jupyter-book build -W -n --keep-going --quiet .
	@echo "The book is ready: open  $(CURDIR)/_build/html/index.html  in a browser."

pdf: env
	@echo "Making the PDF (a few minutes; the first time the figures are drawn as well, which takes as long again) ..."
	@$(BIN)/python tools/pdf.py

zip:
	@test -f _build/html/index.html || $(MAKE) --no-print-directory book
	@$(BIN)/python tools/offline_zip.py

test: env
	@echo "Running all tests; every notebook is run from top to bottom (a few minutes) ..."
	@$(BIN)/python -m pytest --nbval -n auto --maxprocesses=4 --dist loadfile -q

test-nightly: env
	@echo "Running the property tests on 10,000 random inputs each (an hour) ..."
	@HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n auto --maxprocesses=4 -q $(wildcard tests/test_laws_*.py)

test-portability: env
	@$(BIN)/python tools/portability.py $(if $(NOTEBOOKS),--notebooks)

check-pages:
	@test -f _build/html/index.html || $(MAKE) --no-print-directory book
	@echo "Trying every page in a browser, without a network (about two minutes) ..."
	@sh tools/pages/check.sh _build/html

notebooks: book
	@echo "Writing the chapters as plain notebooks ..."
	@PYTHONPATH="$(CURDIR)/tools" $(BIN)/python -m notebooks _build/html _build/notebooks

test-notebooks:
	@test -f _build/notebooks/student.zip || $(MAKE) --no-print-directory notebooks
	@echo "Running every plain notebook in a new environment (some minutes) ..."
	@PYTHONPATH="$(CURDIR)/tools" $(BIN)/python -m notebooks.run _build/notebooks

lab: env
	@$(PYTHON) tools/setup_env.py $(VENV) requirements.txt requirements-lab.txt
	@echo "JupyterLab opens in the browser; stop it with Ctrl-C."
	@PYTHONPATH="$(CURDIR):$(CURDIR)/assignments/student" $(BIN)/jupyter-lab --notebook-dir=chapters

refresh: env
	@echo "Running every notebook and storing its outputs ..."
	@$(BIN)/python tools/refresh.py $(NOTEBOOKS)

ledger: env
	@echo "Measuring the residuals of all statement tests ..."
	@$(BIN)/python -m pytest tests/test_statements --record-residuals -q

experiments: env
ifdef QUICK
	@$(BIN)/python tools/experiments.py quick
else
	@$(BIN)/python tools/experiments.py
endif

bench:
	@$(PYTHON) tools/setup_env.py .venv-bench requirements-bench.txt
ifdef QUICK
	@.venv-bench/bin/python -m benchmarks quick
else
	@echo "Measuring; leave the machine alone meanwhile (about half an hour; PARTS=\"training flows\" for some parts only) ..."
	@.venv-bench/bin/python -m benchmarks $(PARTS)
	@$(MAKE) --no-print-directory refresh NOTEBOOKS=chapters/measurements.ipynb
endif

classroom:
	@$(PYTHON) tools/setup_env.py $(VENV) requirements.txt requirements-grading.txt

COURSE ?= assignments
COMMAND = PYTHONPATH="$(CURDIR)/tools" $(BIN)/python -m classroom

release: classroom
	@$(COMMAND) release --course "$(COURSE)" --set "$(SET)"

validate: env
	@$(BIN)/python assignments/student/validate.py "$(NOTEBOOK)"

grade: classroom
	@$(COMMAND) grade --course "$(COURSE)" --set "$(SET)" --submissions "$(SUBMISSIONS)" --roster "$(ROSTER)" --jobs $(or $(JOBS),2) $(if $(TRUST),--trust)

feedback: classroom
	@$(COMMAND) feedback --course "$(COURSE)" --set "$(SET)" --roster "$(ROSTER)"

test-classroom: classroom
	@echo "Testing the problem sets and their grading (a few minutes) ..."
	@$(BIN)/python -m pytest tests/classroom assignments/student -q --write-results

rehearse: classroom
	@$(BIN)/python tests/classroom/rehearsal.py $(SET)

clean:
	rm -rf _build build tools/pages/node_modules .pytest_cache .hypothesis .ready bwlib.egg-info $(VENV) .venv-bench .venv-portability
	find . -name __pycache__ -prune -exec rm -rf {} +
