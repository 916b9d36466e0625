# One word a purpose; the work is in tools/ and CMakeLists.txt. `make help` lists them.
MAKEFLAGS += --no-print-directory
PREFIX ?= /usr/local
SECONDS_EACH ?= 60

.PHONY: all help setup demo demo-crash check night bench fuzz coverage format lint unit golden install clean

all: ## build/release/millwright
	@tools/build.sh release millwright
	@echo "built: build/release/millwright"

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 10

setup: ## install what building and running need (as root, or with sudo)
	@tools/setup.sh run

demo: ## from a prompt to a running app, in ./demo-workspace
	@tools/demo.sh

demo-crash: ## one gen whose host and agents are killed 20 times, beside one left alone
	@tools/demo_crash.sh

check: ## what a change must pass: build, clang, gates, replay by other compilers, unit, conformance, simulation, end to end
	@tools/check.sh

night: ## everything in its long form, under sanitizers too, then fuzzing and benches
	@tools/night.sh

bench: ## how fast, beside this machine's own limits
	@tools/bench.sh

fuzz: ## every fuzz target for SECONDS_EACH=60
	@tools/fuzz.sh $(SECONDS_EACH)

coverage: ## branches and MC/DC of journal, recovery, promotion, JSON, expressions; build/coverage/report.txt
	@tools/coverage.sh

format: ## clang-format over the C sources
	@tools/format.sh

lint: ## the gates alone
	@tools/check.sh build lint

unit: ## build and unit tests alone
	@tools/check.sh build unit

golden: ## rewrite expected output; read the diff before committing it
	@tools/golden.sh

install: all ## program, factory, pages and completions under PREFIX=/usr/local
	@cmake --install build/release --prefix "$(PREFIX)" >/dev/null
	@echo "installed: $(PREFIX)/bin/millwright"

clean: ## remove build/
	@rm -rf build
