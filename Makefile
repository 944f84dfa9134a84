# weir: what a developer does. `make help` lists it.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
GO          ?= go
FUZZTIME    ?= 3s
TESTFLAGS   ?=
BENCH       ?= .
COUNT       ?= 6
BENCHTIME   ?= 200ms
BASELINE    ?= bench/baseline.txt

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: build
build: ## build bin/server and bin/bench
	@mkdir -p bin
	$(GO) build -o bin/server ./cmd/server
	$(GO) build -o bin/bench ./cmd/bench

PREFIX      ?= /usr/local
DESTDIR     ?=

.PHONY: install
install: ## install what build made as weir and weir-bench below PREFIX (/usr/local): make install PREFIX=$HOME/.local
	@test -x bin/server -a -x bin/bench || $(MAKE) --no-print-directory build # root need not have Go
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 bin/server "$(DESTDIR)$(PREFIX)/bin/weir"
	install -m 755 bin/bench "$(DESTDIR)$(PREFIX)/bin/weir-bench"

.PHONY: run
run: build ## start the server with its defaults
	exec bin/server

DEMO_HTTP   ?= 127.0.0.1:18080
DEMO_ADMIN  ?= 127.0.0.1:19090

.PHONY: demo
demo: build ## start a server, attack it three ways, print before, during and after
	@bin/server -listen http://$(DEMO_HTTP) -admin $(DEMO_ADMIN) -log-level error >bin/demo.log 2>&1 & server=$$!; \
	trap "kill $$server 2>/dev/null" EXIT; \
	for i in $$(seq 100); do (exec 3<>/dev/tcp/$(subst :,/,$(DEMO_ADMIN))) 2>/dev/null && break; sleep 0.05; done; \
	kill -0 $$server 2>/dev/null || { cat bin/demo.log; exit 1; }; \
	for attack in connection-flood frame-flood 'slowloris?conns=5000&per-net=1&interval=500ms'; do \
	  echo "== $$attack"; \
	  bin/bench siege -target http://$(DEMO_HTTP)/ -attack "$$attack" -before 3s -during 7s -after 2s \
	    -metrics http://$(DEMO_ADMIN)/metrics -pid $$server; \
	  echo; \
	done

.PHONY: check
check: lint ## what every commit passes: format, vet, staticcheck, build, short tests
	$(GO) test -short ./...

.PHONY: lint
lint: ## format, vet, staticcheck
	@out=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); test -z "$$out" || { echo "gofmt -w these:"; echo "$$out"; exit 1; }
	$(GO) mod verify
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# The package that takes longest begins first: the others have gone by beside it when it ends.
# At most three tests that failed are run by themselves once more, and the summary says so; none when
# a data race or a panic was seen: docs/decisions/0023-a-second-try.md.
RERUNS      ?= 1
GOTESTSUM   := $(GO) tool gotestsum --format standard-quiet --rerun-fails=$(RERUNS) --rerun-fails-max-failures=3 \
  --rerun-fails-abort-on-data-race --rerun-fails-run-root-test

.PHONY: test
test: lint ## everything that CI runs; RERUNS=0: nothing a second time
	$(GOTESTSUM) --packages='./internal/e2e ./...' -- -race -timeout 20m $(TESTFLAGS)
	$(GOTESTSUM) --packages=./engine/auth/sasl -- -run TestTimeTellsNothing
	$(MAKE) --no-print-directory fuzz

# Before Go 1.27 the end of -fuzztime can be reported as a failure, with no failing input
# (https://go.dev/issue/75804): that one is passed over.
.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (3s)
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$f"; \
	    $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$pkg >/tmp/weir-fuzz.$$$$ 2>&1 \
	      || { grep -qx ' *context deadline exceeded' /tmp/weir-fuzz.$$$$ && ! grep -q 'Failing input' /tmp/weir-fuzz.$$$$; } \
	      || { cat /tmp/weir-fuzz.$$$$; rm -f /tmp/weir-fuzz.$$$$; exit 1; }; \
	    rm -f /tmp/weir-fuzz.$$$$; \
	  done; \
	done

.PHONY: bench
bench: ## micro benchmarks beside the committed baseline: make bench BENCH=Guard COUNT=6
	@mkdir -p bin
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -count $(COUNT) ./... | tee bin/bench.txt
	$(GO) tool benchstat $(BASELINE) bin/bench.txt

.PHONY: bench-baseline
bench-baseline: ## record a new baseline, to be committed: on a quiet machine, with nothing else changed
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) -count $(COUNT) ./... | grep -E '^(goos|goarch|pkg|cpu|Benchmark)' >$(BASELINE)

ROUNDS      ?= 3
SIEGES      ?= 1
WHAT        ?=
PEERS       ?=

.PHONY: bench-peers
bench-peers: build ## weir beside nginx, haproxy, ...: 40 minutes; WHAT=hello,idle PEERS=weir,nginx ROUNDS=3 SIEGES=1
	$(GO) build -o bin/ ./bench/peers ./bench/peers/gnet ./bench/peers/gotls ./bench/peers/nethttp ./bench/peers/fasthttp
	bin/peers $(if $(WHAT)$(PEERS),-merge) $(if $(WHAT),-what '$(WHAT)') $(if $(PEERS),-peers '$(PEERS)') -rounds $(ROUNDS) -siege-rounds $(SIEGES) \
	  -json bin/peers.json -write docs/performance.md $(if $(if $(WHAT),$(findstring siege,$(WHAT)),all),-svg docs/images/siege.svg)

VULNDB      ?=

.PHONY: audit
audit: ## go.sum holds; direct dependencies and licences; known vulnerabilities; newer versions
	@GO='$(GO)' VULNDB='$(VULNDB)' .ci/audit.sh

.PHONY: clean
clean: ## remove what the targets above made
	rm -rf bin
