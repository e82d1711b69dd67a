#!/usr/bin/env bash
# Installs the Debian packages that building and testing need, where they are
# missing: OpenSSL's headers and archive (the laboratory's libvixDiskLib),
# mkfs.ext4 with e2fsck (the demo and the end-to-end tests), Node.js with npm (docs/reader).
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
missing=()
[ -e /usr/include/openssl/ssl.h ] || missing+=(libssl-dev)
command -v mkfs.ext4 >/dev/null && command -v e2fsck >/dev/null || missing+=(e2fsprogs)
command -v node >/dev/null && command -v npm >/dev/null || missing+=(nodejs npm)
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing: ${missing[*]}; install them (Debian: apt-get install ${missing[*]}) and run make again" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
