# `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: build release test check format sim fuzz bench demo clean help

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

## sim: the coordinator's state machine against random requests, SEEDS=100 from START=1
sim:
	SEEDS=$(SEEDS) START=$(START) swift test --filter CoreModelTests

## bench: fio on a volume and on the raw LUN, as ratios, with the release build
bench:
	@scripts/bench

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
	@sed -n 's/^## //p' Makefile | awk -F': ' '{ printf "  make %-9s %s\n", $$1, $$2 }'
