#!/usr/bin/env bash
# Runs every test with its repetitions multiplied: those that are counted by IVD_SOAK
# (10 where it is not set), and random checks by the same number.
# IVD_RACE are the flags of the race detector (Makefile).
set -euo pipefail
cd "$(dirname "$0")/../.."

export IVD_SOAK=${IVD_SOAK:-10}
go test ${IVD_RACE:--race} -count=1 -timeout 5h ./...

# A package's tests are a program PACKAGE.test, whose Deps are all that it holds.
go list -test -f '{{.ImportPath}} {{join .Deps " "}} ' ./... |
  sed -nE 's/^([^ ]+)\.test .* pgregory\.net\/rapid .*/\1/p' |
  xargs -I{} go test ${IVD_RACE:--race} -count=1 -timeout 5h {} -rapid.checks="${IVD_SOAK}00"
