# SPDX-License-Identifier: GPL-2.0-only
#
# Build the kernel modules as any out-of-tree module (make KDIR=...), and run the kit
# around them (make validate, make test).

KDIR ?= /lib/modules/$(shell uname -r)/build
PYKIT := .venv/bin/pykit
FUZZ_SECONDS ?= 600
PYTHON := .venv/bin/python
# Without pahole BTF generation fails, and kbuild deletes the modules.
NO_BTF := $(if $(shell command -v pahole),,CONFIG_DEBUG_INFO_BTF_MODULES=)
# Distributions do not ship the key that signs modules.
SIG_KEY = $(shell sed -n 's/^CONFIG_MODULE_SIG_KEY=//p' $(KDIR)/include/config/auto.conf)
HAS_KEY = $(filter pkcs11:%,$(SIG_KEY))$(wildcard $(SIG_KEY) $(KDIR)/$(SIG_KEY))
NO_SIGNING = $(if $(HAS_KEY),,CONFIG_MODULE_SIG_ALL=)
MODULES := $(MAKE) -C $(KDIR) M=$(CURDIR) $(NO_BTF)
export VHOST_H FAULT
# The tests start hundreds of short Python processes: none of them shall compile the kit anew.
export PYTHONDONTWRITEBYTECODE :=
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' pykit/__init__.py)
DKMS_SRC := $(DESTDIR)/usr/src/pykit-$(VERSION)
DKMS_FILES := dkms.conf Makefile Kbuild kernel pykit/__init__.py LICENSE

.DEFAULT_GOAL := modules

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z_.-]+:.*## /{printf "  %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  Modules: KDIR=<kernel build directory> [VHOST_H=<directory of vhost.h>]'
	@echo '           [W=1] [C=1] [FAULT=1, the build with deliberate bugs]'

validate: setup ## Judge a real virtio-blk driver and a real QEMU device
	$(PYKIT) run

test: setup ## Run the test suite: unit tests and boot tests
	$(PYTHON) -m pytest -m 'not slow' -n auto --dist loadfile --no-loadscope-reorder

test-slow: setup ## Run the tests that are too slow for make test
	$(PYTHON) -m pytest -m slow

lint: setup ## Run ruff, mypy, shellcheck, checkpatch, sparse and W=1
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(PYTHON) -m tools.lint_shell
	$(PYTHON) -m tools.lint_kernel

fuzz: setup ## Fuzz the trace decoder for FUZZ_SECONDS (default 600)
	$(PYTHON) -m pip install -q --disable-pip-version-check -c requirements.lock 'atheris>=2.3'
	mkdir -p build/fuzz
	$(PYTHON) tools/fuzz_trace.py build/fuzz -max_total_time=$(FUZZ_SECONDS)

setup: ## Install Debian packages and the virtual environment
	@tools/setup.sh

docs: setup ## Generate docs/reference/cli.md and docs/rules.md
	$(PYTHON) -m tools.cli_reference > docs/reference/cli.md.new
	mv docs/reference/cli.md.new docs/reference/cli.md
	$(PYKIT) rules --markdown > docs/rules.md.new
	mv docs/rules.md.new docs/rules.md

man: setup ## Write the man pages of all commands below build/man
	$(PYTHON) -m tools.man_pages build/man

doctor: setup ## Check required tools; show the command that installs each
	$(PYKIT) doctor

modules: ## Build the kernel modules for KDIR
	$(MODULES) modules

modules_install: ## Install the modules below INSTALL_MOD_PATH
	@test -s modules.order || { echo 'no module was built here: make modules first' >&2; exit 1; }
	$(MODULES) $(NO_SIGNING) modules_install

compile_commands.json: modules ## Write the compile command of each C file, for clangd
	python3 tools/compile_commands.py $(KDIR) > $@.new
	mv $@.new $@

dkms: ## Copy what DKMS needs below DESTDIR; then dkms install pykit/VERSION
	mkdir -p $(DKMS_SRC)
	tar -c --exclude-from=.gitignore $(DKMS_FILES) | tar -x -C $(DKMS_SRC)

list: ## Print the names of the modules built for KDIR
	@$(MAKE) -s --no-print-directory -f kernel/list.mk KDIR=$(KDIR)

version: ## Print the version of pykit
	@echo $(VERSION)

clean: ## Remove build products of the modules
	$(MODULES) clean
	rm -f compile_commands.json compile_commands.json.new

lock: setup ## Pin the versions installed in .venv
	{ sed -n '/^#/p' requirements.lock; $(PYTHON) -m pip freeze --all --exclude-editable --exclude pip | grep -v ' @ '; } > requirements.lock.new
	mv requirements.lock.new requirements.lock

.PHONY: help validate test test-slow lint fuzz setup docs man doctor modules modules_install compile_commands.json \
	dkms list version clean lock
