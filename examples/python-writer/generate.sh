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

# What the folder was made from; anything else means that it is made anew.
made_from=$(cat "$here/requirements.txt" "$protos"/umbra/v1/*.proto | sha256sum)
[ "$(cat "$folder/made-from" 2>/dev/null)" = "$made_from" ] && exit 0

mkdir -p "$folder"
rm -rf "$folder/venv" "$folder/generated" "$folder/made-from"
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    -r "$here/requirements.txt"
mkdir "$folder/generated"
"$folder/venv/bin/python" -m grpc_tools.protoc -I "$protos" \
    --python_out="$folder/generated" --grpc_python_out="$folder/generated" \
    umbra/v1/types.proto umbra/v1/writer.proto
echo "$made_from" > "$folder/made-from"
