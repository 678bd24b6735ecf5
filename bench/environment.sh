# Sourced by the benches: a Python environment with the peers, and the release binary.
BENCH_CACHE="${BENCH_CACHE:-$PWD/bench/.cache}"
BENCH_SERVER="${BENCH_SERVER:-${CARGO_TARGET_DIR:-$PWD/target}/release/lakehold}"
BENCH_PYTHON="$BENCH_CACHE/venv/bin/python"
[ -x "$BENCH_SERVER" ] || { echo "no $BENCH_SERVER: run cargo build --release" >&2; exit 1; }
mkdir -p "$BENCH_CACHE"
if [ ! -x "$BENCH_PYTHON" ]; then
  python3 -m venv "$BENCH_CACHE/venv"
fi
"$BENCH_PYTHON" -m pip install -q --disable-pip-version-check -r bench/requirements.txt
