#!/usr/bin/env bash
# Builds what the images of docker-compose.yml hold, below build/docker, and with
# --base also the mover's base image ivdmover-base, by debootstrap (needs root).
# Nothing is pulled: the programs are static, and the base comes from packages.
set -euo pipefail
cd "$(dirname "$0")/../.."

NATS_VERSION=$(go list -m -f '{{.Version}}' github.com/nats-io/nats-server/v2)
out=build/docker
mkdir -p "$out"
make release versitygw
cp bin/ivd bin/ivd-mover "$out/"
rm -rf "$out/vddk-lab" && cp -r build/vddk-lab "$out/vddk-lab"
cp .tools/bin/versitygw "$out/"
GOBIN=$PWD/$out CGO_ENABLED=0 go install "github.com/nats-io/nats-server/v2@$NATS_VERSION"
CGO_ENABLED=0 go build -o "$out/nk" github.com/nats-io/nkeys/nk

if [ "${1:-}" = --base ] && ! docker image inspect ivdmover-base >/dev/null 2>&1; then
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  debootstrap --variant=minbase bookworm "$root" >/dev/null
  tar -C "$root" --exclude=./var/cache/apt/archives/*.deb -c . | docker import - ivdmover-base
fi
