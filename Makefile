# Two commands for a newcomer: `make demo` and `make test`. Each sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check soak bench wheelhouse format clean

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: .venv/edge ## Count real FlowCam images from a watched folder (needs the network once)
	$(BIN)/planktow-edge demo

test: .venv/dev ## Run all tests
	$(BIN)/python -m pytest --numprocesses auto

soak: .venv/dev ## Hours of trying to break the daemon: kills, power cuts, full disks, floods (SEED=1 HOURS=1)
	$(BIN)/python -m tests.reliability.everything --seed $(or $(SEED),1) --hours $(or $(HOURS),1)

# The small sizes are chosen for ten minutes on two cores.
bench: .venv/dev ## How fast it counts, how soon, how it scales (FULL=1 IMAGES=folder KERAS=folder BUNDLE=folder)
	$(BIN)/python -m benchmarks.throughput $(BENCH) $(if $(KERAS),--keras $(KERAS)) $(if $(FULL),,--count 3000 --rounds 3)
	$(BIN)/python -m benchmarks.latency $(BENCH) $(if $(FULL),--seconds 20,--seconds 8 --rounds 2)
	$(BIN)/python -m benchmarks.scaling $(BENCH) $(if $(FULL),--rounds 5,--count 1500 --known 100000)
bench: BENCH = $(if $(IMAGES),--images $(IMAGES)) $(if $(BUNDLE),--bundle $(BUNDLE))

wheelhouse: .venv/edge ## A folder to install a camera host from, without internet (ARCH=aarch64 PYVER=3.11 EXTRAS=web,export BUNDLES=name,... OUT=folder)
	$(BIN)/pip install --quiet packaging
	$(BIN)/python -m tests.reliability.wheelhouse $(if $(ARCH),--arch $(ARCH)) $(if $(PYVER),--python $(PYVER)) \
		$(if $(EXTRAS),--extras $(EXTRAS)) $(if $(BUNDLES),--bundles $(BUNDLES)) $(if $(OUT),--out $(OUT))

check: .venv/dev ## Format, lint, types and the import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the environment and all caches
	rm -rf .venv .venv-tflite-runtime .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# The stamps: what is installed, and from which pyproject.toml. The development environment contains the camera host's.
.venv/dev: pyproject.toml | .venv/bin/pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch .venv/dev .venv/edge

.venv/edge: pyproject.toml | .venv/bin/pip
	@if [ -e .venv/dev ]; then $(BIN)/pip install --quiet --editable '.[dev]'; else $(BIN)/pip install --quiet --editable .; fi
	@touch .venv/edge

.venv/bin/pip:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
