#!/usr/bin/env bash
# What a small query takes beside a statement that goes on and on, next to what it takes alone.
#
#   bench/fair.sh [COUNT]
#
# Needs a release build, python3, and PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
source bench/environment.sh
exec "$BENCH_PYTHON" bench/fair.py --server "$BENCH_SERVER" "$@"
