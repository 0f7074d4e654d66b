# Two commands on a fresh Debian machine: `make demo` shows the main job, `make test` proves it.
# To migrate a library: make migrate LIBRARY=… MBS_API=… MBS_WS=… MBS_USER=… MBS_PASSWORD_FILE=…

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

TOOLS := calibre-list hash-files mbs-hashes mbs-stats mbs-upload orphan-scan orphan-rm orphan-restore orphan-purge mbs-prune stall-watch stall-pool
PREFIX ?= /usr/local
TARGET := $(or $(CARGO_TARGET_DIR),target)
BUILT ?= release
# The tools that were built here, before any that are installed.
export PATH := $(abspath $(TARGET)/$(BUILT)):$(PATH)

.PHONY: help
help: ## say what there is to make
	@sed -n 's/^\([a-z.-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: build
build: ## build the tools into target/release
	@tests/setup build
	cargo build --release --locked

.PHONY: test
test: ## install what the tests need, and run them all
	@tests/setup test
	cargo build --workspace --locked
	@if cargo nextest --version >/dev/null 2>&1; then \
	    cargo nextest run --workspace --locked --no-fail-fast; \
	else \
	    cargo test --workspace --locked --no-fail-fast; \
	fi

# Only what it runs, and not optimized: that takes longer than the demonstration.
DEMO := calibre-list hash-files mbs-hashes mbs-upload library sandbox

.PHONY: demo
demo: ## migrate a sample library into a throw-away server, twice
	@tests/setup demo
	cargo build --locked --quiet $(DEMO:%=-p %)
	@tests/demo

.PHONY: lint
lint: ## formatting, clippy and docs, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --document-private-items --locked

# What decides over files, judged by the unit tests alone; it takes hours.
MUTANTS := '**/classes*' '**/classes/**' '**/proof*' '**/proof/**' '**/limits*' '**/steps/**' '**/retry/**' '**/resume/**' \
    '**/completeness*' '**/scal*' '**/stall-pool/worker*' '**/value*'

.PHONY: mutants
mutants: ## change the deciding modules line by line; tell which changes no test sees
	@tests/setup mutants
	cargo mutants --test-tool nextest --output $(TARGET) $(MUTANTS:%=--file %) -- --lib --bins

.PHONY: bench
bench: ## time the tools against their peers, in pairs
	@tests/setup test
	tests/bench/run.sh

.PHONY: install
install: build ## install the tools into PREFIX/bin
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 $(TOOLS:%=$(TARGET)/release/%) "$(DESTDIR)$(PREFIX)/bin"

# The pipeline. Copy what follows into a Makefile of your own, or run it here.
#
# WORK holds what the steps hand on; but for the journal, which remembers what was sent, it may be
# removed at any time, and costs only time to make again. What is given to make, `LIBRARY=…`, reaches
# the tools as their environment. A step that ends with 1 has done all but some items, each of which is
# an `error` or a `failed` record in its output, so the next step goes on; any other failure stops the
# pipeline. Each output takes its place as a whole, when its step has ended with 0 or 1 (-o): a run that
# was refused, interrupted, or made beside another leaves the last one's outcomes as they were. So make
# must remove nothing either: there is no .DELETE_ON_ERROR here, and all outputs are .PRECIOUS.

WORK ?= migration
SHARDS ?= 4
UPLOAD ?=
STORE ?=
ORPHANS ?=

COUNTS := "uploaded", "duplicate", "too_big", "unsupported", "failed"

.PHONY: migrate
migrate: $(WORK)/uploads.ndjson ## move LIBRARY into the server at MBS_API
	@jq -r 'select(.type == "summary") | [to_entries[] | select(.key | IN($(COUNTS))) | "\(.value) \(.key)"] | join(", ")' $<

$(WORK)/tracked.ndjson: always | $(WORK)
	calibre-list -o $@ "$${LIBRARY:?LIBRARY=folder of the Calibre library}" || test $$? -eq 1

$(WORK)/hashed.ndjson: $(WORK)/tracked.ndjson
	hash-files --cache $(WORK)/hashes.cache -o $@ <$< || test $$? -eq 1

# What the server has already. Without its database it is asked file by file.
$(WORK)/known.ndjson: always | $(WORK)
	mbs-hashes -o $@

KNOWN := $(if $(MBS_DB),$(WORK)/known.ndjson)

# The journal is no target: it outlives every run, and says where an interrupted one goes on.
$(WORK)/uploads.ndjson: $(WORK)/hashed.ndjson $(KNOWN)
	mbs-upload --journal $(WORK)/upload.journal $(KNOWN:%=--known %) $(UPLOAD) -o $@ <$< || test $$? -eq 1

# What is in LIBRARY that Calibre does not know or the server has already; STORE is the server's data
# folder. Nothing is removed.
.PHONY: orphans
orphans: $(WORK)/findings.ndjson ## tell what every file in LIBRARY is, with a report in WORK/orphans.html

$(WORK)/findings.ndjson: $(WORK)/hashed.ndjson $(WORK)/known.ndjson
	orphan-scan --tracked $(WORK)/hashed.ndjson --known $(WORK)/known.ndjson $(if $(STORE),--store "$$STORE") \
	    --cache $(WORK)/hashes.cache --report $(WORK)/orphans.html -o $@ $(ORPHANS) "$$LIBRARY" || test $$? -eq 1

# The same list and hashes by SHARDS processes at once; the joined shards are checked to be whole.
.PHONY: shards
shards: | $(WORK) ## list and hash LIBRARY in SHARDS processes
	seq $(SHARDS) | xargs -P $(SHARDS) -I{} bash -c 'set -o pipefail; \
	    { calibre-list --shard {}/$(SHARDS) "$$LIBRARY" || test $$? -eq 1; } \
	    | { hash-files -j 1 -o $(WORK)/shard-{}.ndjson || test $$? -eq 1; }'
	cat $(foreach k,$(shell seq $(SHARDS)),$(WORK)/shard-$(k).ndjson) >$(WORK)/hashed.$$$$ \
	    && mv $(WORK)/hashed.$$$$ $(WORK)/hashed.ndjson

$(WORK):
	mkdir -p $@

.PHONY: always
.PRECIOUS: $(patsubst %,$(WORK)/%.ndjson,tracked hashed known uploads findings) $(WORK)/upload.journal
