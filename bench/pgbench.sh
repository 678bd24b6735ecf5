#!/usr/bin/env bash
# Small statements and new connections, by pgbench: a release build beside a PostgreSQL 15 in the same run, in turns.
#
#   bench/pgbench.sh [SECONDS [ROUNDS]]     10 seconds for each measurement, 3 rounds; the median counts
#
# Needs a release build (cargo build --release) and Debian's postgresql-15.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-10}" rounds="${2:-3}"
binary="${BENCH_SERVER:-${CARGO_TARGET_DIR:-$PWD/target}/release/lakehold}"
[ -x "$binary" ] || { echo "no $binary: run cargo build --release" >&2; exit 1; }
tests/clients/debian postgresql-15 postgresql-client-15 openssl
source tests/clients/servers.env
export PGPASSWORD=bench-password-1
data="$(mktemp -d)"
chmod 755 "$data"
stop() {
  stop_lakehold "${LAKEHOLD_PID:-}"
  stop_postgresql "$data/postgresql"
  rm -rf "$data"
}
trap stop EXIT
start_lakehold "$data" "$binary"
postgresql_port="$(free_port)"
start_postgresql "$data/postgresql" listen_addresses=127.0.0.1 "port=$postgresql_port"
echo 'SELECT 1;' >"$data/select.sql"

# measure PORT SSLMODE ARGUMENT..: transactions a second
measure() {
  local port="$1" sslmode="$2"
  shift 2
  PGSSLMODE="$sslmode" "$POSTGRESQL_BIN/pgbench" -h 127.0.0.1 -p "$port" -U admin -n -c 16 -j 2 -T "$seconds" -f "$data/select.sql" "$@" main 2>&1 |
    sed -n 's/^tps = \([0-9.]*\) .*/\1/p'
}

# compare NAME SSLMODE ARGUMENT..
compare() {
  local name="$1"
  shift
  for _ in $(seq "$rounds"); do
    measure "$LAKEHOLD_PORT" "$@" >>"$data/$name.lakehold"
    measure "$postgresql_port" "$@" >>"$data/$name.postgresql"
  done
  local ours theirs
  ours="$(sort -g "$data/$name.lakehold" | sed -n "$(((rounds + 1) / 2))p")"
  theirs="$(sort -g "$data/$name.postgresql" | sed -n "$(((rounds + 1) / 2))p")"
  awk -v name="$name" -v ours="$ours" -v theirs="$theirs" 'BEGIN { printf "%-22s %12.0f %12.0f %8.2f\n", name, ours, theirs, ours / theirs }'
}

printf '%-22s %12s %12s %8s\n' "a second" lakehold postgresql ratio
compare select-prepared disable -M prepared
compare select-extended disable -M extended
compare select-simple disable -M simple
compare connect-scram-tls require -C
echo "on $(nproc) cores, 16 connections; $("$POSTGRESQL_BIN/postgres" --version)"
