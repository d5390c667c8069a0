#!/bin/sh
# Write the pinned requirements with hashes, without addresses: a uv.lock would name hosts, so it
# is made in a folder that is thrown away. What is pinned stays as it is, so that a new library
# brings no other change; `sh tools/lock.sh --upgrade` takes the newest of everything.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/pyproject.toml" "$here/README.md" "$here/LICENSE" "$work/"
cd "$work"
touch kept-build
if [ "${1:-}" != --upgrade ]; then
    kept() { sed -n 's/^\([a-z0-9][^ ]*==[^ ]*\( ; [^\\]*[^ \\]\)\{0,1\}\) *\\*$/\1/p' "$1"; }
    { printf '[tool.uv]\nconstraint-dependencies = [\n'
      kept "$here/requirements-dev.lock" | sed 's/.*/    "&",/'
      printf ']\n'; } >> pyproject.toml
    kept "$here/requirements-build.lock" > kept-build
fi
uv lock --quiet
export_() { uv export --quiet --frozen --no-emit-project --format requirements-txt --no-header --no-annotate "$@"; }
export_ --no-dev > "$here/requirements.lock"
export_ --group dev > "$here/requirements-dev.lock"
# What builds the package itself: pip would fetch it unpinned.
printf 'hatchling>=1.27\neditables>=0.5\n' |
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
        --no-annotate --no-emit-index-url --no-emit-find-links -c kept-build - > "$here/requirements-build.lock"
wc -l "$here"/requirements*.lock
