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

export IVD_TOOLS := $(TOOLS)
export IVD_VDDK_LIBDIR := $(LIBDIR)

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: packages lab-library ## build bin/ivd, bin/ivd-mover and the laboratory's libvixDiskLib
	CGO_ENABLED=0 go build -trimpath -o bin/ivd ./coordinator
	CGO_ENABLED=1 go build -trimpath -tags netgo,osusergo -o bin/ivd-mover ./mover

.PHONY: demo
demo: build versitygw ## the whole story on this machine, against a real S3 server, in under three minutes
	bin/ivd demo --repository s3

.PHONY: test
test: build versitygw ## every test, with the race detector
	go vet ./...
	go test -race -timeout 15m ./...

# Left out: what has AddressSanitizer of its own, and what measures the memory that
# AddressSanitizer keeps for itself.
.PHONY: asan
asan: build ## the binding of VDDK under AddressSanitizer, Go and C, leaks included
	go test -asan -ldflags='-s=0 -w=0' -timeout 5m -skip '^(TestLaboratoryLibrary|TestShimUnderSanitizers|TestCyclesLeaveNothing)$$' ./vddk/...

.PHONY: lint
lint: build linters ## formatting, linters, a tidy go.mod
	@unformatted=$$($(TOOLS)/gofumpt -l coordinator mover shared vddk deploy); \
	test -z "$$unformatted" || { echo "$$unformatted"; echo "run .tools/bin/gofumpt -w on these"; exit 1; }
	$(TOOLS)/golangci-lint run ./...
	go mod tidy -diff

.PHONY: bench
bench: build ## benchmarks: they report, they judge nothing
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (20s)
	deploy/setup/fuzz.sh $(or $(FUZZTIME),20s)

.PHONY: golden
golden: ## write the format's golden files, its test vectors and the golden repository anew
	go test -count=1 -run TestGoldenUpdate ./shared/format ./shared/repo -update

.PHONY: tools
tools: versitygw linters ## install the pinned tools that tests and linters need below .tools/

.PHONY: clean
clean: ## remove what was built
	rm -rf bin build

# ---- parts ----

.PHONY: packages
packages:
	@deploy/setup/packages.sh

.PHONY: lab-library
lab-library:
	@$(MAKE) --no-print-directory -C vddk/lab OUT=$(LIBDIR)

.PHONY: versitygw linters
versitygw: .tools/versitygw-$(VERSITYGW_VERSION)
linters: .tools/golangci-lint-$(GOLANGCI_VERSION) .tools/gofumpt-$(GOFUMPT_VERSION)

.tools/versitygw-$(VERSITYGW_VERSION):
	GOBIN=$(TOOLS) CGO_ENABLED=0 go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)
	@touch $@

.tools/golangci-lint-$(GOLANGCI_VERSION):
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@touch $@

.tools/gofumpt-$(GOFUMPT_VERSION):
	GOBIN=$(TOOLS) go install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)
	@touch $@
