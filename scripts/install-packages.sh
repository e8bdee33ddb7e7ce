#!/usr/bin/env bash
# Installs the Debian packages that the demo and the tests use, if any is
# missing: the file systems' programs, PostgreSQL, a C compiler for the bundled
# SQLite and libbpf, one for the kernel's programs (clang), and Python for the
# example writer.
set -euo pipefail

packages=(
    btrfs-progs dosfstools e2fsprogs xfsprogs mount util-linux procps systemd
    gcc libc6-dev make clang pkg-config libelf-dev zlib1g-dev
    postgresql postgresql-contrib
    python3 python3-venv
)

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "these packages are missing and need root to install: ${missing[*]}" >&2
    exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
