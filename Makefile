# Everything a checkout needs: `make help`. Paths are relative, so a folder name with spaces is fine.

PYTHON  ?= python3
PROFILE ?= quick
CORES   ?= all
FORCE   ?=
WORKERS ?= 2
LAB     ?=

BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
STAMP  := .venv/.complete
COMPILE = build/lock/bin/uv pip compile --quiet --all-extras --python-version 3.11 --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test lab bench readme lint format lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo "  Options: PROFILE=smoke|quick|paper CORES=N WORKERS=N PYTHON=python3.12 LAB=--no-browser"

setup: $(STAMP)  ## make .venv from the lock file; does nothing when it is up to date

# The stamp comes last: a set-up that was interrupted is taken up again by the next command.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is not Python 3.11 or newer: install one, then say for example: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 14))' || \
	  echo "Note: of the locked versions some come for Python 3.11 to 3.13 only and are compiled here, which needs a C compiler; PYTHON=python3.12, say, spares it"
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "$(PYTHON) cannot make virtual environments: install its venv module (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@echo "Setting up .venv (once, a few minutes)"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --quiet --requirement requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

reproduce: setup  ## run the whole reproduction, compare it with the paper (PROFILE=quick, CORES=all; FORCE=1: what is there, too)
	@$(BIN)/nvil-repro data fetch
	@$(BIN)/nvil-repro run --profile $(PROFILE) --cores $(CORES) $(if $(FORCE),--force)

test: setup  ## run every test and every notebook
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --nbval-lax --nbval-cell-timeout 600 tests notebooks

lab: setup  ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab --notebook-dir=. --LabApp.default_url=/lab/tree/notebooks $(LAB)

bench: setup  ## measure the speed against Pyro, eager autograd and the matrix products alone
	@$(BIN)/nvil-repro bench

readme: setup  ## write the README's tables again from results/paper, and the text of its notebooks from notebooks/
	@$(BIN)/python -m nvil_repro.reproduction.readme

lint: setup  ## check style, formatting, types, and that notebooks are stripped
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/nbstripout --verify notebooks/*.ipynb

format: setup  ## put source and notebooks into the form that lint checks
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
	@$(BIN)/nbstripout notebooks/*.ipynb

# Two steps give every Python the versions that the oldest one can have. torch's CUDA packages are left out:
# they come with torch where the index serves that build.
lock:  ## renew requirements.lock from pyproject.toml
	@$(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet uv
	@$(COMPILE) pyproject.toml --output-file build/lock/oldest.txt
	@$(COMPILE) pyproject.toml --universal --constraint build/lock/oldest.txt --output-file build/lock/universal.txt
	@{ echo "# Written by make lock from pyproject.toml."; grep -vE '^(cuda|nvidia|triton)\b' build/lock/universal.txt; } > build/lock/requirements.lock
	@mv build/lock/requirements.lock requirements.lock

clean:  ## remove the environment, builds and tools' caches; results and downloaded data stay
	@rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .snakemake
	@find nvil_repro tests benchmarks notebooks -name __pycache__ -type d -prune -exec rm -rf {} +
