"""Time from a cancel request to the statement's end, and from a vanished client to the end of its session. See cancel.sh."""

import argparse
import os
import pathlib
import socket
import tempfile
import threading
import time

import peer
import psycopg

STATEMENTS = {
    "computes": "SELECT count(*) FROM generate_series(1, 100000) a(n), generate_series(1, 100000) b(n), generate_series(1, 100000) c(n) WHERE (a.n + b.n + c.n) % 7 = 8",
    "sends": "COPY (SELECT a.n, b.n FROM generate_series(1, 100000) a(n) CROSS JOIN generate_series(1, 100000) b(n)) TO STDOUT",
    "sleeps": "SELECT pg_sleep(600)",
}


def running(observer, pid):
    return observer.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active'", [pid]).fetchone()


def until(condition, limit=30.0):
    """Seconds until the condition holds."""
    started = time.perf_counter()
    while not condition():
        if time.perf_counter() - started > limit:
            raise SystemExit("not in time")
        time.sleep(0.002)
    return time.perf_counter() - started


def run(connection, statement, ended):
    try:
        if statement.startswith("COPY"):
            with connection.cursor().copy(statement) as copy:
                for _ in copy:
                    pass
        connection.execute(statement)
        raise SystemExit("the statement came to an end by itself")
    except psycopg.errors.QueryCanceled:
        ended.append(time.perf_counter())
    except psycopg.OperationalError:
        pass


def cancelled(server, observer, statement):
    with server.connect() as connection:
        ended = []
        thread = threading.Thread(target=run, daemon=True, args=(connection, statement, ended))
        thread.start()
        until(lambda: running(observer, connection.info.backend_pid))
        started = time.perf_counter()
        connection.cancel_safe()
        thread.join(60)
        return ended[0] - started


def vanished(server, observer, statement):
    connection = server.connect()
    pid = connection.info.backend_pid
    thread = threading.Thread(target=run, daemon=True, args=(connection, statement, []))
    thread.start()
    until(lambda: running(observer, pid))
    # The other end sees a connection that ends in the middle of a statement.
    socket.socket(fileno=os.dup(connection.fileno())).shutdown(socket.SHUT_RDWR)
    seconds = until(lambda: not observer.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone())
    thread.join(60)
    return seconds


def report(what, times, goal):
    times = sorted(1000 * seconds for seconds in times)
    at = lambda share: times[min(len(times) - 1, int(share * len(times)))]
    print(f"{what:<24} p50 {at(0.5):7.1f} ms   p99 {at(0.99):7.1f} ms   worst {times[-1]:7.1f} ms   goal of p99 {goal} ms", flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--server", required=True)
    arguments.add_argument("count", nargs="?", type=int, default=100)
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as nothing:
        server = peer.Server(arguments.server, pathlib.Path(nothing), tables=[], settings=["wire.cancels_per_second=1000"])
        try:
            with server.connect() as observer:
                for name, statement in STATEMENTS.items():
                    report(f"cancel, {name}", [cancelled(server, observer, statement) for _ in range(arguments.count)], 200)
                for name, statement in STATEMENTS.items():
                    report(f"vanished, {name}", [vanished(server, observer, statement) for _ in range(arguments.count)], 1000)
        finally:
            server.stop()
    print(f"{arguments.count} times each, on {peer.machine()}")


main()
