# Everything from Python 3.11 or 3.12 and make. `make help` lists the targets.
# PYTHON=/path/to/python3.12 chooses an interpreter; without it the first that answers is taken (a shim may exist and fail).

WANTED := import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
PYTHON ?= $(shell for p in python3.12 python3.11 python3 python; do $$p -c '$(WANTED)' 2>/dev/null && echo $$p && break; done)
BOOT = @test -n "$(PYTHON)" || { echo " ✗ Python 3.11 or 3.12 was not found: install it (with venv), or say make PYTHON=/path/to/it $@"; exit 1; }; \
       $(PYTHON) tools/bootstrap.py
HEADWATER := .venv/app/bin/headwater
DEV := .venv/dev/bin
UV := .venv/boot/bin/uv
COMPILE := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

# Compiled modules are kept whatever the shell says: without them each of twenty processes compiles its libraries anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help up down reset status test check format docs bench lock

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

up: ## install what is missing, start everything, print the address of the page
	$(BOOT) app jobs
	@$(HEADWATER) up

down: ## stop everything, keep the data
	@test -x $(HEADWATER) || { echo "nothing to stop: no environment yet"; exit 0; }; $(HEADWATER) down

reset: ## stop everything and delete the data, after asking
	@test -x $(HEADWATER) || { echo "nothing to delete: no environment yet"; exit 0; }; $(HEADWATER) reset

status: ## how everything is
	@$(HEADWATER) status

test: ## install what the tests need and run all of them
	$(BOOT) dev jobs-test
	@$(DEV)/python -m tools.prepare_tests
	@$(DEV)/python -m tools.run_tests

check: ## linters and types: all of them, then the verdict
	$(BOOT) dev
	@bad=0; try() { "$$@" || { bad=1; echo " ✗ $$*"; }; }; \
	 try $(DEV)/ruff check --quiet .; \
	 try $(DEV)/ruff format --quiet --check .; \
	 try $(DEV)/mypy --no-error-summary; \
	 try $(DEV)/lint-imports --no-logo; \
	 try $(DEV)/sqlfluff lint --disable-progress-bar sql/sources sql/views sql/sinks sql/analysis sql/metrics sql/patterns; \
	 try $(DEV)/sqlfluff lint --disable-progress-bar sql/stores; \
	 try $(DEV)/python -m tools.npm run check; \
	 exit $$bad

format: ## let the formatters write
	$(BOOT) dev
	@$(DEV)/ruff check --fix .
	@$(DEV)/ruff format .
	@$(DEV)/python -m tools.npm run format

docs: ## pages that are made from the code
	$(BOOT) dev
	@$(DEV)/python tools/settings_docs.py

bench: ## kill one process after another under load (needs a running stack)
	@$(HEADWATER) chaos --in-turn --rounds 1

lock: ## resolve all versions anew: Python and jars
	$(BOOT) dev
	@$(COMPILE) pyproject.toml --group jobs -o requirements/jobs.txt
	@$(COMPILE) pyproject.toml --group app -o requirements/app.txt
	@$(COMPILE) pyproject.toml --group app --group test --group dev -c requirements/app.txt -o requirements/dev.txt
	@$(COMPILE) pyproject.toml --group jobs --group test -c requirements/jobs.txt -o requirements/jobs-test.txt
	@$(COMPILE) requirements/boot.in --no-annotate -o requirements/boot.txt
	@$(DEV)/python -c 'from headwater.stack import jars; print(jars.write_lock(), "jars locked")'
