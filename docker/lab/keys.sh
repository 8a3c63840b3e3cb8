#!/bin/sh
# Makes the lab's keys once; each host can read its own.
set -eu
umask 077
cd /keys
[ ! -e firewall/api.token ] || exit 0

head -c 20 /dev/urandom >firewall/pftabled.key
head -c 24 /dev/urandom | base64 >firewall/admin.open
head -c 24 /dev/urandom | base64 >firewall/admin.close
cp firewall/pftabled.key firewall/admin.open firewall/admin.close remote
chown 900 remote/*

head -c 32 /dev/urandom | base64 >api.token
cp api.token operator
chown 900 operator/api.token
cp api.token prometheus
chown 65534 prometheus/api.token
# Last: it says that all others are there.
cp api.token firewall
