#!/bin/sh
# Makes the base of the images where no registry can be reached: a small Debian with this machine's Node.js, as a tar.
#   docker/base.sh FILE [MIRROR]
# Needs root and debootstrap. Exit status 1, with one line that says what to do, when it can't.
set -eu

suite=bookworm
out=${1:?usage: docker/base.sh FILE [MIRROR]}
mirror=${2:-${DEBIAN_MIRROR:-http://deb.debian.org/debian}}

fail() { echo "base: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "making a Debian needs root; run this as root"
command -v debootstrap >/dev/null 2>&1 || fail "debootstrap is missing; run: apt-get install -y debootstrap"
node=$(node -p process.execPath) || fail "Node.js is missing"

root=$(mktemp -d "${TMPDIR:-/tmp}/postern-base-XXXXXX")
clean() {
  # debootstrap may have been ended before it took its own mounts away.
  grep -o " $root/[^ ]*" /proc/mounts | tac | xargs -r umount --lazy
  rm -rf --one-file-system "$root" "$out.part"
}
trap clean EXIT
trap 'rm -f "$out.log"; exit 1' HUP INT TERM

debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$out.log" 2>&1 ||
  fail "debootstrap could not fetch Debian $suite from $mirror; its log is $out.log (DEBIAN_MIRROR names another mirror)"
rm -f "$out.log"
install -m 755 "$node" "$root/usr/local/bin/node"
chroot "$root" /usr/local/bin/node -e 0 2>/dev/null ||
  fail "$node needs libraries that Debian $suite lacks; use a Node.js from https://nodejs.org"
# As in the official images: what is built isn't used after a power failure.
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc "$root"/usr/share/locale
tar -C "$root" --numeric-owner -cf "$out.part" .
mv "$out.part" "$out"
