# Two commands do everything: `make run` and `make test`. Both set up what is missing first.

CLASSES ?= mammals,birds,fruit,flowers
SOURCE ?= gallery
PER_CLASS ?= 200
PORT ?= 5000
SERVICE_PORT ?= 3000
# The demo's own name for the demo's classes; any other classes get a name made of them.
NAME ?= $(if $(filter mammals$(comma)birds$(comma)fruit$(comma)flowers,$(CLASSES)),demo,$(shell printf '%s' '$(CLASSES)' | tr 'A-Z ,' 'a-z--' | tr -cd 'a-z0-9-' | cut -c1-60 | sed 's/^-*//; s/-*$$//'))
comma := ,
BIN := .venv/bin

export TELLAPART_WEB_PORT := $(PORT)
export TELLAPART_SERVICE_PORT := $(SERVICE_PORT)
export BENTOML_DO_NOT_TRACK := True

.PHONY: run test image-test lint format setup lock clean

run: setup
	@$(BIN)/tellapart up --check
	@$(BIN)/tellapart create "$(NAME)" "$(CLASSES)" --source "$(SOURCE)" --per-class "$(PER_CLASS)" --yes
	@$(BIN)/tellapart up

test:
	@deploy/setup.sh tests
	$(BIN)/pytest

# Needs root, buildah, podman, crun and debootstrap, some minutes and 20 GB for a while.
image-test: setup
	@deploy/image-test.sh

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup:
	@deploy/setup.sh

# Brings Pipfile.lock up to date with Pipfile, then takes the package index out of it.
lock: setup
	PIPENV_VENV_IN_PROJECT=1 .pipenv/bin/pipenv lock
	$(BIN)/python deploy/strip_lock.py

clean:
	rm -rf .venv .pipenv .mypy_cache .ruff_cache .pytest_cache
