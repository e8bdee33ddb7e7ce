# What a newcomer runs: `make demo` and `make test`. Everything else is for
# people who work on Umbra. Needs root (file systems are frozen and mounted) and
# Rust; installs the rest itself on Debian 12.

SHELL := /bin/bash
.DEFAULT_GOAL := help

TOOLS := target/tools
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: packages ## back up a live PostgreSQL from two volumes, restore it, prove it
	cargo build --release -p umbra
	scripts/demo.sh target/release/umbra

test: packages tools format lint licences ## every check and every test
	cargo nextest run --workspace --features umbra/failpoints
	cargo test --doc --workspace --quiet

format:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets --features umbra/failpoints --quiet -- -D warnings

licences: tools
	cargo deny --offline --log-level error check licenses bans sources

bench: packages ## the figures of docs/performance.md, as ratios in one run
	cargo build --release -p umbra -p umbra-bench
	target/release/umbra-bench

# Nothing is installed twice: both scripts look first.
packages:
	scripts/install-packages.sh

tools:
	scripts/install-tools.sh $(TOOLS)

.PHONY: help demo test format lint licences bench packages tools
