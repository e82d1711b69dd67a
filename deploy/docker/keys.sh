#!/bin/sh
# Makes what the containers keep secret, at the first start only: users of their NATS, with
# a key each for the coordinator and the mover and the server's configuration with their
# public halves, and the repository's passphrase, for the coordinator.
#
#   keys.sh TEMPLATE NATS COORDINATOR MOVER    the last three are folders
set -eu
umask 077
template=$1 nats=$2 coordinator=$3 mover=$4
passphrase=$coordinator/repository.passphrase
[ -s "$passphrase" ] || head -c 20 /dev/urandom | od -A n -t x1 | tr -d ' \n' >"$passphrase"
[ ! -e "$nats/nats.conf" ] || exit 0

# user makes a key: its secret half in a file, its public half as output.
user() {
  pair=$(nk -gen user -pubout)
  echo "$pair" | head -n 1 >"$1/queue.nk"
  echo "$pair" | tail -n 1
}
public_coordinator=$(user "$coordinator")
public_mover=$(user "$mover")
sed -e "s/nkey: COORDINATOR/nkey: $public_coordinator/" -e "s/nkey: PROXY_1/nkey: $public_mover/" \
  "$template" >"$nats/nats.conf.new"
mv "$nats/nats.conf.new" "$nats/nats.conf"
