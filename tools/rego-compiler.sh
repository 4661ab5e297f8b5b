#!/usr/bin/env bash
# Builds OPA's own Go library (check, test, build) as a WebAssembly module that Node loads, once per source and Go version.
# Prints the folder that holds rego-compiler.wasm.gz and the wasm_exec.js of the same Go.  Needs Go 1.26 or later.
# About 30 s on an idle machine; nothing when it is there already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); source=$here/rego-compiler
go=$(command -v go || echo /usr/local/go/bin/go); cache=${STOA_CACHE:-$HOME/.cache/stoa-test}
[ -x "$go" ] || { echo "Go 1.26 or later is needed to build the Rego compiler (https://go.dev/dl)" >&2; exit 1; }
key=$({ cat "$source"/*.go "$source/go.sum"; "$go" env GOVERSION; } | sha256sum | cut -c1-12); out=$cache/rego-compiler-$key
[ -f "$out/rego-compiler.wasm.gz" ] && { echo "$out"; exit 0; }
mkdir -p "$cache"; exec 9>"$cache/rego-compiler.lock"; flock 9   # two at once: one builds, the other waits
[ -f "$out/rego-compiler.wasm.gz" ] && { echo "$out"; exit 0; }
work=$(mktemp -d "$cache/tmp.XXXX"); trap 'rm -rf "$work"' EXIT
cp "$("$go" env GOROOT)/lib/wasm/wasm_exec.js" "$work/"
(cd "$source" && GOOS=js GOARCH=wasm GOTOOLCHAIN=local GOWORK=off GOFLAGS=-buildvcs=false "$go" build -trimpath -ldflags "-s -w" -o "$work/rego-compiler.wasm" .)
gzip -9n "$work/rego-compiler.wasm"; chmod 755 "$work"
mv "$work" "$out"; trap - EXIT   # a rename: never a half-written folder
echo "$out"
