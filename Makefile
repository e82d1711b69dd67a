# `make help` lists what can be done. Everything is built below build/ and bin/,
# tools below .tools/; none of them is committed.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

TOOLS := $(CURDIR)/.tools/bin
LIBDIR := $(CURDIR)/build/vddk-lab

VERSITYGW_VERSION := v1.8.0
GOLANGCI_VERSION := v2.15.0
GOFUMPT_VERSION := v0.12.0
GREMLINS_VERSION := v0.6.0
GOVULNCHECK_VERSION := v1.9.0

# What `make mutants` changes: the rooms that compute, and those that data rests on.
MUTANTS ?= coordinator/plan coordinator/admit coordinator/policy coordinator/schedule shared/format shared/repo shared/trust shared/image

# The race detector leaves zstd's inside alone, which takes three quarters of the time of
# whatever stores and reads: shared/format tells it what zstd reads and writes.
export IVD_RACE := -race $(foreach part,zstd huff0 fse,-gcflags=github.com/klauspost/compress/$(part)=-race=false)

export IVD_TOOLS := $(TOOLS)
export IVD_VDDK_LIBDIR := $(LIBDIR)

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- build ----

.PHONY: build
build: packages lab-library ## bin/ivd, bin/ivd-mover and the laboratory's libvixDiskLib
	@echo bin/ivd
	@CGO_ENABLED=0 $(GO_BUILD) -o bin/ivd ./coordinator
	@echo bin/ivd-mover
	@CGO_ENABLED=1 $(GO_BUILD) -o bin/ivd-mover ./mover

# The tags are for the mover, whose C must not bring the C library's look-ups along;
# all else has them too, so that what several import is compiled once.
BUILD_FLAGS := -tags=netgo,osusergo
GO_BUILD = deploy/setup/quiet.sh go build $(BUILD_FLAGS) -ldflags='$(LDFLAGS)'

.PHONY: release
release: LDFLAGS := -s -w
release: BUILD_FLAGS += -trimpath
release: build ## the same without symbols, debugging data and this folder's path: what is handed out

# ---- see it run ----

.PHONY: demo
demo: build ## the whole story on this machine, checked, with a repository in a folder
	bin/ivd demo

.PHONY: demo-s3
demo-s3: build versitygw ## the same story, with a repository in a real S3 server
	bin/ivd demo --repository s3

# ---- is it right ----

.PHONY: quick
quick: ## while you write: the rooms that need neither C nor a server, in seconds
	@CGO_ENABLED=0 go test -short $$(deploy/setup/quick.sh)

# Tests wait for servers and processes: one package more than there are cores runs at
# once. go test would vet all that is imported once more: `make lint` does it. The
# histories of collections come ten times as many without the race detector.
.PHONY: test
test: build versitygw node ## before you push: every test, with the race detector
	go test $(IVD_RACE) -vet=off -p $$(($$(nproc) + 1)) -timeout 15m ./...
	go test -vet=off -run '^TestCollectHistories$$' ./coordinator/collect

.PHONY: soak
soak: build versitygw node ## overnight: every test, its repetitions IVD_SOAK (10) times as many
	deploy/setup/soak.sh

# Left out: what has AddressSanitizer of its own, and what measures the memory that
# AddressSanitizer keeps for itself.
.PHONY: asan
asan: build ## after changes in vddk/: Go and C under AddressSanitizer, leaks included
	go test -asan -ldflags='-s=0 -w=0' -timeout 5m -skip '^(TestLaboratoryLibrary|TestShimUnderSanitizers|TestCyclesLeaveNothing)$$' ./vddk/...

.PHONY: fuzz
fuzz: ## after changes of what is parsed: each fuzz target for FUZZTIME (20s; 1000x)
	deploy/setup/fuzz.sh $(or $(FUZZTIME),20s)

.PHONY: mutants
mutants: gremlins ## after changes of tests: which changes of MUTANTS' rooms no test finds
	deploy/setup/mutants.sh $(MUTANTS)

.PHONY: vuln
vuln: govulncheck ## known vulnerabilities of what is imported; needs the vulnerability database
	deploy/setup/vuln.sh

.PHONY: lint
lint: build linters ## before you push: formatting, go vet, linters, a tidy go.mod
	@unformatted=$$($(TOOLS)/gofumpt -l coordinator mover shared vddk deploy); \
	test -z "$$unformatted" || { echo "$$unformatted"; echo "run .tools/bin/gofumpt -w on these"; exit 1; }
	go vet $(BUILD_FLAGS) ./...
	GOFLAGS="$$(go env GOFLAGS) $(BUILD_FLAGS)" $(TOOLS)/golangci-lint run ./...
	go mod tidy -diff

.PHONY: bench
bench: build ## benchmarks: they report, they judge nothing
	go test -run '^$$' -bench . -benchmem -timeout 3h ./...

.PHONY: bench-repo
bench-repo: ## what a collection takes, in time and memory, among 1, 10 and 100 TiB of simulated packs
	go test -run '^$$' -bench BenchmarkCollect -benchtime 1x -timeout 1h ./coordinator/collect

# ---- tools ----

.PHONY: golden
golden: ## write the format's golden files, its test vectors and the golden repository anew
	go test -count=1 -run TestGoldenUpdate ./shared/format ./shared/repo -update
	go test -count=1 -run TestGoldenSealed ./shared/format -update
	go test -count=1 -run TestGoldenKeys ./shared/keys -update

.PHONY: tools
tools: versitygw linters gremlins govulncheck node ## install the pinned tools below .tools/

.PHONY: clean
clean: ## remove what was built
	rm -rf bin build

# ---- parts ----

.PHONY: packages
packages:
	@deploy/setup/packages.sh

.PHONY: node
node: packages
	@deploy/setup/node.sh $(TOOLS)

.PHONY: lab-library
lab-library:
	@echo build/vddk-lab
	@$(MAKE) --silent --no-print-directory -C vddk/lab OUT=$(LIBDIR)

.PHONY: versitygw linters gremlins govulncheck
versitygw: .tools/versitygw-$(VERSITYGW_VERSION)
linters: .tools/golangci-lint-$(GOLANGCI_VERSION) .tools/gofumpt-$(GOFUMPT_VERSION)
gremlins: .tools/gremlins-$(GREMLINS_VERSION)
govulncheck: .tools/govulncheck-$(GOVULNCHECK_VERSION)

GO_INSTALL = GOBIN=$(TOOLS) CGO_ENABLED=0 deploy/setup/quiet.sh go install

.tools/versitygw-$(VERSITYGW_VERSION):
	@echo .tools/bin/versitygw
	@$(GO_INSTALL) github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)
	@touch $@

.tools/golangci-lint-$(GOLANGCI_VERSION):
	@echo .tools/bin/golangci-lint
	@$(GO_INSTALL) github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@touch $@

.tools/gofumpt-$(GOFUMPT_VERSION):
	@echo .tools/bin/gofumpt
	@$(GO_INSTALL) mvdan.cc/gofumpt@$(GOFUMPT_VERSION)
	@touch $@

.tools/gremlins-$(GREMLINS_VERSION):
	@echo .tools/bin/gremlins
	@$(GO_INSTALL) github.com/go-gremlins/gremlins/cmd/gremlins@$(GREMLINS_VERSION)
	@touch $@

.tools/govulncheck-$(GOVULNCHECK_VERSION):
	@echo .tools/bin/govulncheck
	@$(GO_INSTALL) golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	@touch $@
