"""Time of a small query alone and beside another user's endless statement, and how soon the workers are free when that is cancelled. See fair.sh."""

import argparse
import os
import pathlib
import tempfile
import threading
import time

import peer
import psycopg

SMALL = "SELECT count(*) FROM big"
HEAVY = {
    "nested loop": "SELECT count(*) FROM big a, big b WHERE a.id + b.id = -5",
    "cross join": "SELECT sum(a.id::bigint + b.id + c.id) FROM big a, big b, big c",
    "equal keys": "SELECT count(*) FROM big a JOIN big b ON a.one = b.one AND a.id + b.id < 0",
    "window": "SELECT max(m) FROM (SELECT median(id) OVER (ORDER BY id) AS m FROM big) q",
    "sort": "SELECT max(x) FROM (SELECT a.id + b.id AS x FROM big a, big b ORDER BY (a.id * 31 + b.id) % 1009, a.id OFFSET 5) q",
    "patterns": "SELECT count(*) FROM big a, big b WHERE repeat(a.id::text, 500) ~ '(a|1|b)*(x+x+)+y'",
}
GOAL = 10


def measured(connection, count):
    times = []
    for _ in range(count):
        started = time.perf_counter()
        connection.execute(SMALL).fetchall()
        times.append(1000 * (time.perf_counter() - started))
    return sorted(times)


def at(times, share):
    return times[min(len(times) - 1, int(share * len(times)))]


def endless(connection, text):
    try:
        connection.execute(text)
        raise SystemExit(f"came to an end by itself: {text}")
    except psycopg.errors.QueryCanceled:
        pass


def computed(process):
    """Seconds of processor time that the server has used."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until_quiet(process):
    """Milliseconds until the server computes nothing any more."""
    started = time.perf_counter()
    while True:
        before = computed(process)
        time.sleep(0.05)
        if computed(process) - before < 0.02:
            return max(0.0, 1000 * (time.perf_counter() - started) - 50)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--server", required=True)
    arguments.add_argument("count", nargs="?", type=int, default=200)
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as nothing:
        server = peer.Server(arguments.server, pathlib.Path(nothing), tables=[])
        try:
            with server.connect() as small:
                small.execute("CREATE TABLE big AS SELECT n AS id, 1 AS one FROM generate_series(1, 1000000) g(n)")
                measured(small, 20)
                alone = at(measured(small, arguments.count), 0.99)
                print(f"{'alone':<14} p99 {alone:7.1f} ms", flush=True)
                for name, text in HEAVY.items():
                    with server.connect() as heavy:
                        thread = threading.Thread(target=endless, daemon=True, args=(heavy, text))
                        thread.start()
                        time.sleep(1)
                        times = measured(small, arguments.count)
                        heavy.cancel_safe()
                        quiet = until_quiet(server.process)
                        thread.join(60)
                    share = at(times, 0.99) / alone
                    print(
                        f"{name:<14} p50 {at(times, 0.5):7.1f} ms   p99 {at(times, 0.99):7.1f} ms   {share:5.1f} times alone, goal {GOAL}"
                        f"   quiet {quiet:6.0f} ms after the cancel",
                        flush=True,
                    )
        finally:
            server.stop()
    print(f"{arguments.count} times each, on {peer.machine()}")


main()
