# What people and CI call. Each target says its stages and stops at the first that fails.
#
#   make test                   everything that is quick: cold on two cores in less than 30 minutes
#   make test-full [PART=name]  the matrix, real programs of others, comparisons: hours, or one part of it
#   make fuzz                   anything at all for the readers of what others made, a minute each
#   make lint                   formatting, clippy and documentation without warnings
#   make demo                   the examples for every platform that can be built for here
#   make bench                  side by side with the bare compilers and with ko

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.DEFAULT_GOAL := test
.PHONY: test test-full fuzz lint demo bench tools

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# What scripts/install-test-tools installed comes first on the PATH.
ENVIRONMENT := source '$(TARGET)/tools/env.sh'
stage = printf '\n== %s\n' $(1)

tools:
	$(call stage,'tools of the tests')
	scripts/install-test-tools

test: tools
	$(ENVIRONMENT)
	$(call stage,'build')
	cargo test --locked --no-run
	$(call stage,'tests')
	cargo test --locked

test-full: tools
	$(ENVIRONMENT)
	scripts/install-test-tools crane buildkit
	$(call stage,'build')
	cargo test --locked --no-run
	$(call stage,'full tests$(if $(PART),: $(PART))')
	scripts/test-full $(PART)

fuzz:
	$(call stage,'fuzz')
	scripts/fuzz

lint:
	$(call stage,'formatting')
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	$(call stage,'clippy')
	cargo clippy --locked --all-targets -- -D warnings
	$(call stage,'documentation')
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

demo:
	$(call stage,'demo')
	scripts/demo

bench: tools
	$(ENVIRONMENT)
	$(call stage,'bench')
	scripts/bench
