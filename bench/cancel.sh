#!/usr/bin/env bash
# How soon a statement ends that is cancelled, and one whose client is gone.
#
#   bench/cancel.sh [COUNT]
#
# Needs a release build, python3, and PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
source bench/environment.sh
exec "$BENCH_PYTHON" bench/cancel.py --server "$BENCH_SERVER" "$@"
