# What CI runs is `make check`. Everything uses .venv, which `python3 run.py --install` makes.
BIN := .venv/bin
SOURCES := src tests benchmarks tools run.py

.PHONY: setup fmt lint types imports sizes test golden golden-update bench check lock

setup:            ## make .venv with what development needs
	python3 run.py test --version

fmt:              ## format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

lint:             ## formatting and ruff, all rules
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

types:            ## mypy --strict, and plug-ins as outsiders write them
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/outside.py

imports:          ## the layers, and the purity of the core
	$(BIN)/lint-imports

sizes:            ## the largest files and functions; over budget fails
	$(BIN)/python tools/sizes.py

test:             ## everything
	python3 run.py test

golden-update:    ## the events of the golden tapes anew; read the difference
	$(BIN)/python tools/golden.py update

golden:           ## recorded frames and golden tapes through the decoders
	$(BIN)/pytest tests/golden

bench:            ## the table of the README
	$(BIN)/python -m benchmarks

check: lint types imports sizes test

lock:             ## the pinned requirements anew, from pyproject.toml (needs uv)
	sh tools/lock.sh
