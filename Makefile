# What can be done here: `make help` lists it, from the text after each "##".
# It needs Go and make. Outputs go to bin/, caches stay where Go keeps them, and no target changes a file of the tree.

GO   ?= go
ARGS ?=

GOLANGCI_LINT_VERSION := v2.15.0
WORKFLOWCHECK_VERSION := v0.6.0

# One set of flags for everything: building, vetting, linting and testing then share Go's build cache, and Temporal's
# server is compiled once. Without version control's state in them, the same source gives the same bytes.
override GOFLAGS := $(strip $(filter-out -trimpath -buildvcs=%,$(GOFLAGS)) -trimpath -buildvcs=false)
export GOFLAGS
export CGO_ENABLED := 0

# The programs with many dependencies are modules of their own, so that the root's list stays short.
heavy    := cmd/perceptor-scan cmd/perceptor-dev
# The API server of Kubernetes is one file around Kubernetes' own code, for tests alone. Vetting and linting it would compile
# Kubernetes for every `make check`, so these leave it out; go.mod and the format are looked at.
apiserver := cmd/kube-apiserver-test
programs := cmd/perceptor-dev/samples/programs
modules  := . $(heavy) $(apiserver) $(programs)/vulnerable $(programs)/patched
binaries := bin/perceptor-scan bin/perceptor bin/samples/vulnerable bin/samples/patched bin/samples/vulnerable-arm64 bin/perceptor-dev

golangci-lint := $(CURDIR)/bin/tools/golangci-lint@$(GOLANGCI_LINT_VERSION)/golangci-lint
workflowcheck := $(CURDIR)/bin/tools/workflowcheck@$(WORKFLOWCHECK_VERSION)/workflowcheck

# Tests that take long or need the built programs stand behind tags; the checks look at all of them.
tags := integration,e2e,record,bench

# having gives the packages of a module whose tests contain a pattern: $(call having,MODULE,PATTERN)
having = $(sort $(dir $(shell cd $1 && grep -rlE --include='*_test.go' --exclude-dir=bin $(heavy:cmd/%=--exclude-dir=%) '$2' . )))
# The packages of the root with tests that drive the built programs.
INTEGRATION ?= $(call having,.,^//go:build .*integration)

# Some tests want more than Go and make: a real Debian, or the etcd of a real API server. Where a machine lacks that they are
# left out, and that is said; CI has it all.
lacks    = $(if $(shell command -v $1 2>/dev/null),,$1)
debian  := $(strip $(call lacks,mmdebstrap) $(call lacks,skopeo))
etcd    := $(call lacks,etcd)
left-out = $(strip $(if $(debian),TestDebian) $(if $(etcd),TestKubernetes))
nothing :=
skipping = $(if $(left-out),-skip '^($(subst $(nothing) ,|,$(left-out)))$$')
# The packages with nothing but tests against a real API server behind the tag.
clusters = ./internal/kubetest/ ./internal/perceiver/kubernetes/

# in-each runs a command in modules, in all of them even where it fails: $(call in-each,MODULES,COMMAND)
in-each = @failed=0; for module in $1; do echo "$(notdir $(firstword $2)) $(wordlist 2,9,$2)  ($$module)"; (cd $$module && $2) || failed=1; done; exit $$failed

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help build run demo kube-apiserver e2e-hub e2e-kubernetes e2e-rolling check test bench bench-large clean always \
	archtest format tidy vet lint workflowcheck test-heavy test-integration test-root

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

## ---- programs

build: announce $(binaries) ## build everything into bin/

# Said once, before the first build: nobody should wonder for minutes.
announce: always
	@for program in $(binaries); do \
		[ -x $$program ] && continue; \
		echo "building bin/perceptor, bin/perceptor-scan (Syft), bin/perceptor-dev (Temporal server and Web UI) and the samples:"; \
		echo "about 10 minutes on 2 cores the first time, modules being fetched and compiled; seconds afterwards"; \
		break; \
	done

# saying names a program before it is built for the first time.
saying = @[ -x $@ ] || echo "building $@"

# `perceptor version` says the revision, where git knows it; only the link of this one program depends on it.
bin/perceptor: always
	$(saying)
	@$(GO) build $(shell git rev-parse --quiet --verify HEAD >/dev/null 2>&1 && echo -buildvcs=true) -o $@ ./cmd/perceptor

bin/perceptor-scan bin/perceptor-dev: bin/%: always
	$(saying)
	@cd cmd/$* && $(GO) build -o ../../$@ .

# The samples are images' content, and images are Linux, whatever this machine is.
bin/samples/vulnerable bin/samples/patched: bin/samples/%: always
	$(saying)
	@cd $(programs)/$* && GOOS=linux $(GO) build -o $(CURDIR)/$@ .

bin/samples/vulnerable-arm64: always
	$(saying)
	@cd $(programs)/vulnerable && GOOS=linux GOARCH=arm64 $(GO) build -o $(CURDIR)/$@ .

always:

run: build ## start it all on this machine and scan the samples; Ctrl-C ends it (ARGS="--help" shows its flags)
	@exec bin/perceptor-dev $(ARGS)

demo: build ## the same on free ports in a temporary directory; ends when all is scanned
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && trap 'exit 130' INT && trap 'exit 143' TERM && \
	bin/perceptor-dev --data "$$dir" --temporal 127.0.0.1:0 --ui 127.0.0.1:0 --hub 127.0.0.1:0 --registry 127.0.0.1:0 --api 127.0.0.1:0 --until-scanned $(ARGS)

# Without its debugging information, which nobody reads and whose writing takes memory and time.
bin/kube-apiserver-test: always
	@[ -x $@ ] || echo "building $@ (the API server of Kubernetes): about 8 minutes on 2 cores the first time"
	@cd $(apiserver) && $(GO) build -ldflags '-s -w' -o ../../$@ .

kube-apiserver: bin/kube-apiserver-test ## build the API server of Kubernetes for the tests that want a real one

e2e-hub: build ## 1,000 images, two hubs, four workers, kills, terminations and a hub in trouble: about 25 minutes (E2E_IMAGES, E2E_SEED)
	$(call end-to-end,TestHubsInAStorm)

e2e-kubernetes: build kube-apiserver ## 300 pods behind a real Kubernetes API server, everything killed in turn: about 10 minutes
	$(call end-to-end,TestKubernetesEndToEnd)

e2e-rolling: build ## 200 images while four scanners are restarted one after the other: about 4 minutes (E2E_IMAGES, E2E_SEED)
	$(call end-to-end,TestRollingRestart)

# The test writes down how it ended, so that this is the last line whatever the test program still says.
end-to-end = @result=$$(mktemp) && trap 'rm -f "$$result"' EXIT && \
	E2E_RESULT="$$result" $(GO) test -count=1 -v -timeout 60m -tags e2e -run '^$1$$' ./cmd/perceptor && cat "$$result"

## ---- checks

check: archtest format tidy vet lint workflowcheck ## conventions, format, go.mod, vet, linters, determinism of workflows

archtest: ## the conventions of this repository
	$(GO) test -count=1 ./internal/archtest

format: $(golangci-lint) ## is everything formatted?
	$(golangci-lint) fmt --diff

tidy: ## is every go.mod tidy?
	$(call in-each,$(modules),$(GO) mod tidy -diff)

vet: ## go vet, in every module
	$(call in-each,. $(heavy),$(GO) vet -tags $(tags) ./...)

lint: $(golangci-lint) ## golangci-lint, in every module
	$(call in-each,. $(heavy),$(golangci-lint) run --allow-serial-runners ./...)

workflowcheck: $(workflowcheck) ## do workflows only what replays?
	$(workflowcheck) -test=false ./...

$(golangci-lint):
	@echo "building golangci-lint: about 4 minutes on 2 cores the first time"
	@GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

$(workflowcheck):
	@GOBIN=$(@D) $(GO) install go.temporal.io/sdk/contrib/tools/workflowcheck@$(WORKFLOWCHECK_VERSION)

## ---- tests

test: build test-heavy test-integration test-root ## every test this machine has the programs for

# -count=1 where tests run programs of bin/: Go's test cache does not see those change.
test-heavy: ## the tests of the two heavy modules
	$(call in-each,$(heavy),$(GO) test -count=1 ./...)

test-integration: build $(if $(etcd),,kube-apiserver) ## the tests that drive the built programs
	$(if $(strip $(INTEGRATION)),,$(error no test has the build tag integration))
	@[ -z "$(strip $(debian) $(etcd))" ] || echo "this machine has no $(strip $(debian) $(etcd)): leaving out $(left-out) $(if $(etcd),$(clusters))"
	$(GO) test -count=1 -p 1 -timeout 30m -tags integration $(skipping) $(if $(etcd),$(filter-out $(clusters),$(INTEGRATION)),$(INTEGRATION))

# The race detector needs a C compiler, which a machine with only Go and make does not have.
test-root: ## the root's tests, with the race detector where there is a C compiler
	@if [ "$$(env -u CGO_ENABLED $(GO) env CGO_ENABLED)" = 1 ]; then \
		CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...; \
	else \
		echo "no C compiler here: testing without the race detector"; \
		$(GO) test -timeout 20m ./...; \
	fi

bench: build ## measure; the README's table comes from here: takes over an hour
	$(call benchmarks-of,.)
	$(call benchmarks-of,cmd/perceptor-scan)
	$(call benchmarks-of,cmd/perceptor-dev)

bench-large: build ## 100,000 images that wait: takes hours (BENCH_WAITING=N make bench for another number)
	BENCH_WAITING=100000 $(GO) test -tags bench -run '^$$' -bench '^BenchmarkWaiting$$' -timeout 360m ./cmd/perceptor

benchmarks-of = $(if $(call having,$1,^func Benchmark),cd $1 && $(GO) test -tags bench -run '^$$' -bench . -timeout 180m $(call having,$1,^func Benchmark))

clean: ## remove bin/
	rm -rf bin
