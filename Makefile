# Everything a newcomer or CI needs; "make help" lists it.
.DEFAULT_GOAL := help
.PHONY: help demo build test unit lint generate bench fuzz clean

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)
FUZZTIME ?= 30s
TAGS ?=

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

build: ## bridged and bridgectl, into bin/; TAGS=pkcs11 for keys on tokens
	@mkdir -p bin
	go build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o bin/ ./cmd/bridged ./cmd/bridgectl

demo: build ## a federation of two simulated organisations, and a tour through it
	@bin/bridged demo

# -count=1: the cache does not know the programs that end-to-end tests build.
test: lint ## everything: lint, then all tests with -race against the real peers
	@scripts/peers
	BRIDGE_PEERS=1 go test -race -count=1 -timeout 10m ./...
	BRIDGE_LIVES=1000 go test -count=1 -run '^TestKillAdmissions$$' ./internal/federation
	go -C tools test ./protogen
	go vet -tags pkcs11 ./internal/setup/keys
	BRIDGE_PEERS=1 go test -race -tags pkcs11 -run Token ./internal/setup/keys

unit: ## tests that need nothing but Go
	go test ./...
	go -C tools test ./protogen

lint: ## gofmt, vet, staticcheck, and that generated code is current
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'these files need gofmt'; exit 1; }
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...
	go -C tools run ./protogen -check ../api/proto

generate: ## code from api/proto/bridge.proto
	go generate ./api/proto

bench: ## benchmarks of the hot paths; path building beside crypto/x509 and openssl
	go test -run '^$$' -bench . -benchmem ./internal/wire/... ./internal/engine/... ./vdir ./vocsp ./internal/edge/...
	TMPDIR="$$(test -w /dev/shm && echo /dev/shm || echo "$${TMPDIR:-/tmp}")" go test -run '^$$' -bench . -benchtime 10x ./internal/federation ./internal/subscription
	go test -run '^$$' -bench . -benchtime 5x ./signedlist
	@mkdir -p bin
	go run ./internal/pathbench -json bin/paths.json

fuzz: ## each fuzz target for FUZZTIME (30s)
	@scripts/fuzz $(FUZZTIME)

clean: ## removes what make made
	rm -rf bin bridged-demo
