#!/bin/sh
# The web server of the lab, with an ssh server that nobody can log in to.
set -eu
rm -f /tmp/ssh_host_key*
ssh-keygen -q -t ed25519 -N '' -f /tmp/ssh_host_key
/usr/sbin/sshd -D -f /dev/null -h /tmp/ssh_host_key -o PidFile=none -o UsePAM=no -o AuthenticationMethods=publickey &
exec node /lab/web.mjs
