#!/usr/bin/env bash
# Export of TPC-H lineitem: rows per second and the server's memory, beside a local PostgreSQL that holds the same rows.
#
#   bench/export.sh SCALE
#
# Needs a release build, python3, PyPI, and PostgreSQL's initdb and postgres on the PATH or in /usr/lib/postgresql.
set -euo pipefail
cd "$(dirname "$0")/.."
source bench/environment.sh
exec "$BENCH_PYTHON" bench/export.py --cache "$BENCH_CACHE" --server "$BENCH_SERVER" "$@"
