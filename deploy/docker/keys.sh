#!/bin/sh
# Makes the users of the containers' NATS, at the first start only: a key each for the
# coordinator and the mover, and the server's configuration with their public halves.
#
#   keys.sh TEMPLATE NATS COORDINATOR MOVER    the last three are folders
set -eu
umask 077
template=$1 nats=$2 coordinator=$3 mover=$4
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
