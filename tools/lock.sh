#!/bin/sh
# Write the pinned requirements with hashes, without addresses: a uv.lock would name hosts, so it
# is made in a folder that is thrown away.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/pyproject.toml" "$here/README.md" "$here/LICENSE" "$work/"
cd "$work"
uv lock --quiet
export_() { uv export --quiet --frozen --no-emit-project --format requirements-txt --no-header --no-annotate "$@"; }
export_ --no-dev > "$here/requirements.lock"
export_ --group dev > "$here/requirements-dev.lock"
# What builds the package itself: pip would fetch it unpinned.
printf 'hatchling>=1.27\neditables>=0.5\n' |
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
        --no-annotate --no-emit-index-url --no-emit-find-links - > "$here/requirements-build.lock"
wc -l "$here"/requirements*.lock
