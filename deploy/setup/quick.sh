#!/usr/bin/env bash
# Lists the packages of `make quick`: those whose tests, with all that they import,
# hold no C, no vCenter and no NATS server. What would start an S3 server is left out
# by -short.
set -euo pipefail
cd "$(dirname "$0")/../.."

rooms=(./coordinator/... ./mover/... ./shared/... ./deploy/architecture)
slow='github.com/vmware/govmomi/simulator|github.com/nats-io/nats-server/v2/server'
c=$(CGO_ENABLED=1 go list -f '{{if .CgoFiles}}{{.ImportPath}}{{end}}' ./... | paste -sd '|')

# A package's tests are a program PACKAGE.test, whose Deps are all that it holds.
CGO_ENABLED=1 go list -test -f '{{if .ForTest}}{{else}}{{.ImportPath}} {{join .Deps " "}} {{end}}' "${rooms[@]}" |
  grep -E '^[^ ]+\.test ' |
  grep -vE " ($slow|$c) " |
  sed -E 's/\.test .*//'
