#!/usr/bin/env bash
# TPC-H over Delta tables written by another program, through the wire, side by side with DuckDB's delta extension on the same files.
#
#   bench/tpch.sh SCALE [--runs 3] [--policy none|keep-all|filter|views] [--queries 1,6,14]
#
# With a policy, a user whom it restricts is beside what the same costs without: keep-all beside a server without policies, filter beside the
# filters written by hand, views (each table behind one that its owner lends out) beside the owner.
#
# Needs a release build (cargo build --release), python3, and PyPI. Tables are made once and kept in bench/.cache.
set -euo pipefail
cd "$(dirname "$0")/.."
source bench/environment.sh
exec "$BENCH_PYTHON" bench/tpch.py --cache "$BENCH_CACHE" --server "$BENCH_SERVER" "$@"
