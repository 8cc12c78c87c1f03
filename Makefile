# `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: build release test check format sim sim-controls soak fuzz bench demo clean help

FILTER ?=
ROUNDS ?= 1000000
SEEDS ?= 100
START ?= 1

## build: the debug build, with tests
build:
	scripts/setup
	swift build --build-tests

## release: optimised programs that need no Swift at run time, in .build/release
release:
	scripts/setup
	swift build -c release --static-swift-stdlib

## test: everything; FILTER=Name runs tests whose names match
test:
	@scripts/test '$(FILTER)'

## check: formatting and the modules' imports; the build has warnings as errors
check:
	@scripts/check

## format: format all sources in place
format:
	swift format --in-place --recursive Sources Tests Package.swift

## sim: simulated clusters with failures, SEEDS=100 from START=1; SEED=k replays one with a trace
sim:
	@scripts/setup
ifdef SEED
	swift run -c release covol-sim run --seeds 1 --start $(SEED) --trace
else
	swift run -c release covol-sim run --seeds $(SEEDS) --start $(START)
endif

## sim-controls: breaks each of the safety rules in turn; fails if one goes unnoticed
sim-controls:
	@scripts/setup
	swift run -c release covol-sim controls

## soak: the long runs of the fault tests; hours
soak:
	@scripts/soak

## bench: volumes beside the raw LUN; GROWTH=1 how cost grows, FLAME=1 and PROFILE=1 where time goes, ALLOCATIONS=1 the heap
bench:
ifdef GROWTH
	@scripts/bench growth
else ifdef FLAME
	@scripts/bench flame
else ifdef PROFILE
	@scripts/bench profile
else ifdef ALLOCATIONS
	@scripts/bench allocations
else
	@scripts/bench
endif

## fuzz: the decoders' fuzz tests, ROUNDS=1000000 each
fuzz:
	COVOL_FUZZ_ROUNDS=$(ROUNDS) swift test --filter '[Ff]uzz'

## demo: one LUN, three nodes, one directory, narrated
demo:
	@scripts/demo

## clean: remove what was built
clean:
	swift package clean

## help: this list
help:
	@sed -n 's/^## //p' Makefile | awk -F': ' '{ printf "  make %-13s %s\n", $$1, $$2 }'
