# What can be done here: `make help` lists it, from the text after each "##".
# It needs Go and make. Outputs go to bin/, caches stay where Go keeps them, and no target changes a file of the tree.

GO   ?= go
ARGS ?=

GOLANGCI_LINT_VERSION := v2.15.0
WORKFLOWCHECK_VERSION := v0.6.0
TRIVY_VERSION         := 0.74.0

# One set of flags for everything: building, vetting, linting and testing then share Go's build cache, and Temporal's
# server is compiled once. Without version control's state in them, the same source gives the same bytes.
override GOFLAGS := $(strip $(filter-out -trimpath -buildvcs=%,$(GOFLAGS)) -trimpath -buildvcs=false)
export GOFLAGS
export CGO_ENABLED := 0
# No test fetches anything from the network.
test-root test-heavy test-e2e e2e-hub e2e-kubernetes e2e-rolling e2e-trivy record bench bench-sbom bench-large: export PERCEPTOR_HUB_UPDATES := off

# The folders with a go.mod of their own. The programs with many dependencies have one, so that the root's list stays short.
modules := . cmd/perceptor-scan cmd/perceptor-dev examples cmd/kube-apiserver-test cmd/registry-test \
	cmd/perceptor-dev/samples/programs/vulnerable cmd/perceptor-dev/samples/programs/patched
# The modules that are vetted and linted. The API server of Kubernetes is one file around Kubernetes' own code: checking it would
# compile all of Kubernetes for every `make check`. The samples are old on purpose.
checked := . cmd/perceptor-scan cmd/perceptor-dev examples
binaries := bin/perceptor-scan bin/perceptor bin/samples/vulnerable bin/samples/patched bin/samples/vulnerable-arm64 bin/perceptor-dev

golangci-lint := $(CURDIR)/bin/tools/golangci-lint@$(GOLANGCI_LINT_VERSION)/golangci-lint
trivy := $(CURDIR)/bin/tools/trivy@v$(TRIVY_VERSION)/trivy
workflowcheck := $(CURDIR)/bin/tools/workflowcheck@$(WORKFLOWCHECK_VERSION)/workflowcheck

# The tests of the built programs have the tag e2e, the benchmarks the tag bench, the comparison with other tools the tag oracle.
# The checks read all of them.
tags := e2e,bench,oracle
# The tests with the tag e2e that `make test` leaves out; the targets e2e-... and record run them by name.
long := ^(TestHubsInAStorm|TestKubernetesEndToEnd|TestDockerEndToEnd|TestRollingRestart|TestHostileMessages|TestMarks|TestTrivy|TestRegistryEndToEnd|TestScannersOfOthers|TestScanner2018|TestRecord.*)$$

# Reads the output of `go test -json`, prints one line for each package and everything about failed tests, and names the skipped
# tests. With SUMMARY=--no-skips a skipped test is a failure.
SUMMARY ?=
summary := $(GO) run ./test/summary $(SUMMARY)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help build announce run demo image kube-apiserver e2e-hub e2e-kubernetes e2e-docker e2e-rolling e2e-hostile e2e-marks fuzz record check test oracle bench bench-large clean trivy e2e-trivy bench-sbom audit e2e-registry e2e-scanners \
	always archtest format tidy vet lint workflowcheck test-heavy test-e2e test-root

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

## ---- programs

build: announce $(binaries) ## build everything into bin/

# A line before the first build, because that takes minutes.
announce:
	@for program in $(binaries); do \
		[ -x $$program ] && continue; \
		echo "building bin/perceptor, bin/perceptor-scan (Syft), bin/perceptor-dev (Temporal server and Web UI) and the samples:"; \
		echo "about 10 minutes on 2 cores the first time, because modules are fetched and compiled; seconds afterwards"; \
		break; \
	done

# Go knows what has changed, so every target runs `go build`.
# `perceptor version` names the revision, where git knows it; only the link of this one program depends on it.
bin/perceptor: always
	@[ -x $@ ] || echo "building $@"
	@if git rev-parse --quiet --verify HEAD >/dev/null 2>&1; then \
		$(GO) build -buildvcs=true -o $@ ./cmd/perceptor; \
	else \
		$(GO) build -o $@ ./cmd/perceptor; \
	fi

bin/perceptor-scan: always
	@[ -x $@ ] || echo "building $@"
	@cd cmd/perceptor-scan && $(GO) build -o $(CURDIR)/$@ .

bin/perceptor-dev: always
	@[ -x $@ ] || echo "building $@"
	@cd cmd/perceptor-dev && $(GO) build -o $(CURDIR)/$@ .

# The samples are the content of images, and images are Linux on every machine.
bin/samples/vulnerable: always
	@[ -x $@ ] || echo "building $@"
	@cd cmd/perceptor-dev/samples/programs/vulnerable && GOOS=linux $(GO) build -o $(CURDIR)/$@ .

bin/samples/patched: always
	@[ -x $@ ] || echo "building $@"
	@cd cmd/perceptor-dev/samples/programs/patched && GOOS=linux $(GO) build -o $(CURDIR)/$@ .

bin/samples/vulnerable-arm64: always
	@[ -x $@ ] || echo "building $@"
	@cd cmd/perceptor-dev/samples/programs/vulnerable && GOOS=linux GOARCH=arm64 $(GO) build -o $(CURDIR)/$@ .

always:

run: build ## start it all on this machine and scan the samples; Ctrl-C ends it (ARGS="--help" shows its flags)
	@exec bin/perceptor-dev $(ARGS)

demo: build ## the same on free ports in a temporary directory; ends when all is scanned
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && trap 'exit 130' INT && trap 'exit 143' TERM && \
	bin/perceptor-dev --updates off --data "$$dir" --temporal 127.0.0.1:0 --ui 127.0.0.1:0 --hub 127.0.0.1:0 --registry 127.0.0.1:0 --api 127.0.0.1:0 --until-scanned $(ARGS)

# It has no debugging information, because writing that takes memory and time.
bin/kube-apiserver-test: always
	@[ -x $@ ] || echo "building $@ (the API server of Kubernetes): about 8 minutes on 2 cores the first time"
	@cd cmd/kube-apiserver-test && $(GO) build -ldflags '-s -w' -o $(CURDIR)/$@ .

kube-apiserver: bin/kube-apiserver-test ## build the API server of Kubernetes for the tests that want a real one

bin/registry-test: always
	@[ -x $@ ] || echo "building $@ (the registry of the distribution project): about 2 minutes on 2 cores the first time"
	@cd cmd/registry-test && $(GO) build -ldflags '-s -w' -o $(CURDIR)/$@ .

# Each of these tests writes the line of its result into a file, so that this is the last line of the output.
e2e-hub: build ## 1,000 images, two hubs, four workers, kills, terminations and a hub in trouble: about 25 minutes (E2E_IMAGES, E2E_SEED)
	@rm -f bin/e2e-hub.result
	@E2E_LONG=1 E2E_RESULT=$(CURDIR)/bin/e2e-hub.result $(GO) test -count=1 -v -timeout 60m -tags e2e -run '^TestHubsInAStorm$$' ./test/e2e
	@cat bin/e2e-hub.result

e2e-kubernetes: build kube-apiserver ## 300 pods behind a real Kubernetes API server, everything killed in turn: about 10 minutes (needs etcd)
	@rm -f bin/e2e-kubernetes.result
	@E2E_LONG=1 E2E_RESULT=$(CURDIR)/bin/e2e-kubernetes.result $(GO) test -count=1 -v -timeout 60m -tags e2e -run '^TestKubernetesEndToEnd$$' ./test/e2e
	@cat bin/e2e-kubernetes.result

e2e-docker: build image ## a real Docker Engine with Perceptor's image: a Compose project, a Swarm, the engine restarted: about 8 minutes (needs root, docker.io)
	@rm -f bin/e2e-docker.result
	@E2E_LONG=1 E2E_RESULT=$(CURDIR)/bin/e2e-docker.result $(GO) test -count=1 -v -timeout 30m -tags e2e -run '^TestDockerEndToEnd$$' ./test/e2e
	@cat bin/e2e-docker.result

e2e-registry: build bin/registry-test ## a real registry with notifications: 50 tags, its receiver and itself killed: about 4 minutes (E2E_IMAGES)
	@rm -f bin/e2e-registry.result
	@E2E_LONG=1 E2E_RESULT=$(CURDIR)/bin/e2e-registry.result $(GO) test -count=1 -v -timeout 30m -tags e2e -run '^TestRegistryEndToEnd$$' ./test/e2e
	@cat bin/e2e-registry.result

e2e-rolling: build ## 200 images while four scanners are restarted one after the other: about 4 minutes (E2E_IMAGES, E2E_SEED)
	@rm -f bin/e2e-rolling.result
	@E2E_LONG=1 E2E_RESULT=$(CURDIR)/bin/e2e-rolling.result $(GO) test -count=1 -v -timeout 60m -tags e2e -run '^TestRollingRestart$$' ./test/e2e
	@cat bin/e2e-rolling.result

e2e-hostile: build ## every broken message and 2,000 random ones to each workflow on a real server: about 10 minutes (E2E_SEED, E2E_REFERRERS)
	@rm -f bin/e2e-hostile.result
	@E2E_LONG=1 E2E_RESULT=$(CURDIR)/bin/e2e-hostile.result $(GO) test -count=1 -v -timeout 60m -tags e2e -run '^TestHostileMessages$$' ./test/e2e
	@cat bin/e2e-hostile.result

fuzz: ## a million random messages to the workflows in the SDK's test environment, for at most 30 minutes (ARGS="-hostile-seed=1")
	$(GO) test -count=1 -v -timeout 60m -run '^TestHostileMessages$$' ./workflows -hostile-messages=1000000 -hostile-within=30m $(ARGS)

e2e-scanners: build ## three scanners that speak the protocol of 2018 beside two workers, all killed in turn: about 5 minutes (E2E_IMAGES, E2E_SEED)
	@rm -f bin/e2e-scanners.result
	@E2E_LONG=1 E2E_RESULT=$(CURDIR)/bin/e2e-scanners.result $(GO) test -count=1 -v -timeout 30m -tags e2e -run '^TestScannersOfOthers$$' ./test/e2e
	@cat bin/e2e-scanners.result

e2e-marks: build kube-apiserver ## the marks on 800 pods: edits, a frozen leader, rights, clocks, two clusters of one name: about 10 minutes (needs etcd)
	@rm -f bin/e2e-marks.result
	@E2E_LONG=1 E2E_RESULT=$(CURDIR)/bin/e2e-marks.result $(GO) test -count=1 -v -timeout 60m -tags e2e -run '^TestMarks$$' ./test/e2e
	@cat bin/e2e-marks.result

# Trivy is built from its own module, as the go command finds it; nothing of it is part of this repository.
$(trivy):
	@echo "building trivy $(TRIVY_VERSION): about 10 minutes on 2 cores the first time"
	@GOBIN=$(@D) GOEXPERIMENT=jsonv2 $(GO) install -ldflags '-s -w -X github.com/aquasecurity/trivy/pkg/version/app.ver=$(TRIVY_VERSION)' \
		github.com/aquasecurity/trivy/cmd/trivy@v$(TRIVY_VERSION)

trivy: $(trivy) ## build trivy, for the test of a scanner of someone else: about 10 minutes (needs the network)

e2e-trivy: build trivy ## trivy as the scan client, with a vulnerability database of the test: about 2 minutes
	E2E_TRIVY=$(trivy) $(GO) test -count=1 -v -timeout 20m -tags e2e -run '^TestTrivy$$' ./test/e2e

record: build ## record the histories that the replay tests read again, from the programs of this tree: about 5 minutes
	E2E_RECORD=1 $(GO) test -count=1 -v -timeout 30m -tags e2e -run '^TestRecord' ./test/e2e

# The programs of an image are built as bin/perceptor is, for Linux. SBOMs of ours lie beside the archives.
image: build ## the container image that the manifests name, for amd64 and arm64, without a network: OCI layout, archives, SBOMs in bin/image/
	@for arch in amd64 arm64; do \
		echo "building the programs for $$arch: minutes the first time"; \
		GOOS=linux GOARCH=$$arch $(GO) build -buildvcs=$$(git rev-parse --quiet --verify HEAD >/dev/null 2>&1 && echo true || echo false) \
			-o bin/image/programs/$$arch/perceptor ./cmd/perceptor && \
		(cd cmd/perceptor-scan && GOOS=linux GOARCH=$$arch $(GO) build -o $(CURDIR)/bin/image/programs/$$arch/perceptor-scan .) || exit 1; \
	done
	@$(GO) run ./deploy/image -programs bin/image/programs -out bin/image -revision "$$(git rev-parse --quiet --verify HEAD 2>/dev/null)" $(ARGS)
	@for arch in amd64 arm64; do \
		scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
		bin/perceptor-scan sbom --name perceptor --version "$$(cat bin/image/digest)" --tar bin/image/perceptor-$$arch.tar \
			--sbom bin/image/perceptor-$$arch.cdx.json --scratch "$$scratch" >/dev/null || exit 1; \
	done

## ---- checks

# OSV_DIR names the folder with OSV's records, in the layout of its bucket: Go/all.zip.
audit: build ## vulnerabilities with a fix and unknown licences in what the programs are made of; lists bin/licences.txt (needs OSV_DIR)
	$(GO) run ./test/audit -licences bin/licences.txt bin/perceptor bin/perceptor-scan bin/perceptor-dev

check: archtest format tidy vet lint workflowcheck ## conventions, format, go.mod, vet, linters, determinism of workflows

archtest: ## the conventions of this repository
	$(GO) test -count=1 ./internal/archtest

format: $(golangci-lint) ## is everything formatted?
	$(golangci-lint) fmt --diff

tidy: ## is every go.mod tidy?
	@for module in $(modules); do echo "go mod tidy -diff  ($$module)"; (cd $$module && $(GO) mod tidy -diff) || exit 1; done

vet: ## go vet, in every module
	@for module in $(checked); do echo "go vet  ($$module)"; (cd $$module && $(GO) vet -tags $(tags) ./...) || exit 1; done

lint: $(golangci-lint) ## golangci-lint, in every module
	@for module in $(checked); do echo "golangci-lint  ($$module)"; (cd $$module && $(golangci-lint) run --allow-serial-runners ./...) || exit 1; done

workflowcheck: $(workflowcheck) ## do workflows only what replays?
	$(workflowcheck) -test=false ./...

$(golangci-lint):
	@echo "building golangci-lint: about 4 minutes on 2 cores the first time"
	@GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

$(workflowcheck):
	@GOBIN=$(@D) $(GO) install go.temporal.io/sdk/contrib/tools/workflowcheck@$(WORKFLOWCHECK_VERSION)

## ---- tests

test: build test-heavy test-e2e test-root ## every test, except the long suites; it names the tests that this machine lacks a program for

# -count=1 where tests run programs of bin/, because Go's test cache does not see changes of these.
test-heavy: ## the tests of the two heavy modules
	@(cd cmd/perceptor-scan && $(GO) test -json -count=1 ./...) | $(summary)
	@(cd cmd/perceptor-dev && $(GO) test -json -count=1 ./...) | $(summary)

# The API server of Kubernetes is built only where etcd is there; its tests are skipped without etcd.
test-e2e: build $(if $(shell command -v etcd),kube-apiserver) ## the tests of the built programs
	@$(GO) test -json -count=1 -p 1 -timeout 40m -tags e2e -skip '$(long)' ./test/e2e ./internal/kubetest ./internal/perceiver/kubernetes | $(summary)

# The tests of real vulnerability records read the folder that OSV_DIR names, in the layout of OSV's bucket: <ecosystem>/all.zip.
real := $(if $(OSV_DIR),,-skip '^TestReal(Records|RecordsAreAllRead|Severities|Matches)$$')

# The race detector needs a C compiler, which not every machine has.
test-root: ## the root's tests, with the race detector where there is a C compiler (OSV_DIR=... tests real records too)
	@[ -n "$(OSV_DIR)" ] || echo "OSV_DIR is not set: leaving out the tests of real vulnerability records"
	@if [ "$$(env -u CGO_ENABLED $(GO) env CGO_ENABLED)" = 1 ]; then \
		CGO_ENABLED=1 $(GO) test -json -race -timeout 20m $(real) ./...; \
	else \
		echo "no C compiler here: testing without the race detector"; \
		$(GO) test -json -timeout 20m $(real) ./...; \
	fi | $(summary)

# What is missing is skipped, and named above the last line. CI does not run it: it needs programs of six ecosystems.
oracle: bin/perceptor-scan ## compare versions and lists with dpkg, rpm, pip, npm, Maven, RubyGems: about 5 minutes (CONTRIBUTING.md names the programs)
	@rm -f bin/oracle.result
	@[ -n "$(OSV_DIR)" ] || echo "OSV_DIR is not set: the versions of real records are not compared (AlmaLinux, PyPI, Go)"
	@ORACLE_RESULT=$(CURDIR)/bin/oracle.result $(GO) test -count=1 -v -timeout 60m -tags oracle ./test/oracle; status=$$?; cat bin/oracle.result && exit $$status

bench: build $(if $(shell command -v etcd),kube-apiserver) ## measure; the README's table comes from here: takes over an hour (needs etcd)
	$(GO) test -tags bench -run '^$$' -bench . -timeout 180m ./...
	cd cmd/perceptor-scan && $(GO) test -tags bench -run '^$$' -bench . -benchtime 5x -timeout 30m .

bench-sbom: bin/perceptor-scan ## processor seconds of SBOMs, beside trivy where make trivy has built it: about 3 minutes (BENCH_DEBIAN, or mmdebstrap)
	cd cmd/perceptor-scan && $(GO) test -tags bench -run '^$$' -bench '^BenchmarkSBOM$$' -benchtime 5x -timeout 30m .

bench-large: build ## 100,000 images that wait: takes hours (BENCH_WAITING=N make bench for another number)
	BENCH_WAITING=100000 $(GO) test -tags bench -run '^$$' -bench '^BenchmarkWaiting$$' -timeout 360m ./test/bench

clean: ## remove bin/
	rm -rf bin
