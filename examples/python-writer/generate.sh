#!/bin/sh
# Installs what the example needs into a virtual environment and generates the
# Python code of the published .proto files beside it. Nothing is installed or
# generated twice.
#
# usage: generate.sh [FOLDER]     (target/python-writer by default)
#
# Then: FOLDER/venv/bin/python examples/python-writer/writer.py --help
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=${1:-$root/target/python-writer}
protos=$root/crates/umbra-protocol/proto

python=${PYTHON:-python3}
"$python" -c 'import venv, ensurepip' 2>/dev/null || {
    echo "generate.sh: needs Python 3 with venv: apt-get install python3-venv" >&2
    exit 1
}

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# What each of the two was made from; anything else means that it is made anew.
requirements=$(sha256sum < "$here/requirements.txt")
if [ "$(cat "$folder/venv/made-from" 2>/dev/null)" != "$requirements" ]; then
    rm -rf "$folder/venv" "$folder/generated"
    "$python" -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
        -r "$here/requirements.txt"
    echo "$requirements" > "$folder/venv/made-from"
fi

cd "$protos"
set -- umbra/v1/types.proto umbra/v1/components.proto umbra/v1/writer.proto
sources=$(cat "$@" | sha256sum)
if [ "$(cat "$folder/generated/made-from" 2>/dev/null)" != "$sources" ]; then
    rm -rf "$folder/generated"
    mkdir "$folder/generated"
    "$folder/venv/bin/python" -m grpc_tools.protoc -I . \
        --python_out="$folder/generated" --grpc_python_out="$folder/generated" "$@"
    echo "$sources" > "$folder/generated/made-from"
fi
