#!/bin/sh
# Brings a machine to where build, tests and demo run: Node packages from the lockfile, kernel tools from Debian.
# `setup.sh lab` brings it to where the container lab runs instead. Idempotent and quick when there is nothing to do. Exit
# status 1, with one line that says what to run, when it can't.
set -eu
cd "$(dirname "$0")/.."

fail() { echo "setup: $*" >&2; exit 1; }

# 20.12 and 21.7 brought crypto.hash, which the daemon needs.
has=$(node -p 'typeof require("node:crypto").hash' 2>/dev/null) || fail "Node.js 20.12 or newer is needed; install it from https://nodejs.org"
[ "$has" = function ] || fail "Node.js 20.12 or newer is needed, this is $(node --version); install a newer one from https://nodejs.org"

# The stamp holds the lockfile that node_modules was installed from.
stamp=node_modules/.postern-lock
if ! cmp -s package-lock.json "$stamp"; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error || fail "npm ci failed; run: npm ci --ignore-scripts"
  cp package-lock.json "$stamp"
fi

# command:Debian package
tools="nft:nftables ip:iproute2 sysctl:procps conntrack:conntrack ipset:ipset iptables-nft:iptables ping:iputils-ping
tcpdump:tcpdump ethtool:ethtool socat:socat nmap:nmap curl:curl nc:netcat-openbsd"
PATH=$PATH:/usr/sbin:/sbin
if [ "${1:-}" = lab ]; then
  tools=
  # A daemon that runs is used; otherwise the lab starts one of its own, and may have to make its base image itself.
  docker info >/dev/null 2>&1 || tools="dockerd:docker.io docker:docker.io debootstrap:debootstrap"
  docker compose version >/dev/null 2>&1 || tools="$tools docker-compose:docker-compose"
fi
missing=
for entry in $tools; do
  command -v "${entry%%:*}" >/dev/null 2>&1 || missing="$missing ${entry#*:}"
done
[ -n "$missing" ] || exit 0
install="apt-get install -y --no-install-recommends$missing"
command -v apt-get >/dev/null 2>&1 || fail "missing:$missing; install them with your package tool (on Debian: $install)"
[ "$(id -u)" = 0 ] || fail "missing:$missing; run as root: $install"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
$install >/dev/null 2>&1 || { apt-get update >/dev/null && $install >/dev/null; } || fail "could not install:$missing; run: $install"
