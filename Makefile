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

reference: ## write docs/vss-reference.md from docs/vss-reference.toml, and say what it lacks
	cargo run --quiet -p umbra-reference

bench: packages ## the figures of docs/performance.md, as ratios in one run
	cargo build --release -p umbra -p umbra-bench
	target/release/umbra-bench

install: ## install the programs, units, man pages and completions (DESTDIR=… for packages)
	cargo build --release -p umbra
	install -D -m 755 -t $(DESTDIR)/usr/bin target/release/umbra target/release/umbrad
	install -D -m 644 -t $(DESTDIR)/usr/lib/systemd/system packaging/systemd/umbrad.service packaging/systemd/umbrad.socket
	install -D -m 644 packaging/sysusers.d/umbra.conf $(DESTDIR)/usr/lib/sysusers.d/umbra.conf
	install -D -m 644 packaging/tmpfiles.d/umbra.conf $(DESTDIR)/usr/lib/tmpfiles.d/umbra.conf
	install -D -m 644 packaging/umbra.toml $(DESTDIR)/usr/share/doc/umbra/umbra.toml
	mkdir -p target/man && target/release/umbra man target/man
	install -D -m 644 -t $(DESTDIR)/usr/share/man/man1 target/man/*.1
	install -D -m 644 -t $(DESTDIR)/usr/share/man/man8 target/man/*.8
	mkdir -p $(DESTDIR)/usr/share/bash-completion/completions
	target/release/umbra completions bash > $(DESTDIR)/usr/share/bash-completion/completions/umbra

# Nothing is installed twice: both scripts look first.
packages:
	scripts/install-packages.sh

tools:
	scripts/install-tools.sh $(TOOLS)

.PHONY: help demo test format lint licences reference bench install packages tools
