#!/bin/sh
# Makes a router of the container: interfaces named as their networks, the first address of each, no way out. Then Postern.
set -eu

# NETWORK, the address that docker gave, the first addresses of the network
interface() {
  # "7: eth0    inet 198.51.100.2/24 ..."
  device=$(ip -o address show to "$2" | cut -d ' ' -f 2)
  [ -n "$device" ] || { echo "firewall.sh: no interface has $2" >&2; exit 1; }
  ip link set "$device" down
  ip link set "$device" name "$1"
  ip link set "$1" up
  ip address replace "$3" dev "$1"
  ip address replace "$4" dev "$1" nodad
}

interface outside 198.51.100.2 198.51.100.1/24 2001:db8:51::1/64
interface lan 198.18.0.2 198.18.0.1/24 2001:db8:18::1/64
interface dmz 203.0.113.2 203.0.113.1/24 2001:db8:113::1/64

exec postern run
