"""Export of lineitem through the wire, beside a local PostgreSQL. See export.sh.

Two clients read from both servers, neither encrypted: libpq, row by row, whose own work takes a large part of the machine; and a drain, which
takes bytes off the socket and looks at nothing but the last ones, so that the servers are what is measured. The server's memory is resident
memory beyond what it was after one small statement, which has loaded the program's own pages.
"""

import argparse
import functools
import os
import pathlib
import pwd
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import peer
import psycopg


def find(program):
    found = shutil.which(program) or next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))), None)
    if not found:
        raise SystemExit(f"{program} is missing: install PostgreSQL")
    return str(found)


class Postgres:
    """A throw-away PostgreSQL with the rows of lineitem."""

    def __init__(self, tables):
        self.root = tempfile.mkdtemp(prefix="lakehold-postgres-")
        self.unprivileged = []
        if os.getuid() == 0:
            shutil.chown(self.root, "nobody")
            self.unprivileged = ["setpriv", f"--reuid={pwd.getpwnam('nobody').pw_uid}", "--clear-groups"]
        data = f"{self.root}/data"
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": self.root}
        subprocess.run([*self.unprivileged, find("initdb"), "-D", data, "-U", "postgres", "-A", "trust"], **quiet)
        self.port = 54329
        options = ["-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.root}",
                   "-c", "fsync=off", "-c", "shared_buffers=2GB", "-c", "max_wal_size=8GB", "-c", "jit=off"]
        self.process = subprocess.Popen([*self.unprivileged, find("postgres"), "-D", data, *options],
                                        stderr=subprocess.DEVNULL, cwd=self.root)
        for _ in range(100):
            try:
                self.connect().close()
                break
            except psycopg.OperationalError:
                time.sleep(0.1)
        self.load(tables)

    def connect(self):
        return psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True,
                               sslmode="disable")

    def load(self, tables):
        with self.connect() as connection:
            connection.execute(
                "CREATE UNLOGGED TABLE lineitem (l_orderkey bigint, l_partkey bigint, l_suppkey bigint, l_linenumber int,"
                " l_quantity numeric(15,2), l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2),"
                " l_returnflag text, l_linestatus text, l_shipdate date, l_commitdate date, l_receiptdate date,"
                " l_shipinstruct text, l_shipmode text, l_comment text)")
            with tempfile.TemporaryDirectory() as folder:
                peer.open_duckdb(tables, os.cpu_count()).execute(f"COPY lineitem TO '{folder}/l.csv' (HEADER false)")
                with connection.cursor().copy("COPY lineitem FROM STDIN (FORMAT csv)") as copy, open(f"{folder}/l.csv", "rb") as file:
                    while part := file.read(1 << 20):
                        copy.write(part)
            connection.execute("VACUUM ANALYZE lineitem")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        shutil.rmtree(self.root, ignore_errors=True)


def rows_by_cursor(connection, binary):
    """Reads every row through libpq's single-row mode without turning values into Python objects."""
    from psycopg import pq

    connection.pgconn.send_query_params(b"SELECT * FROM lineitem", None, result_format=pq.Format.BINARY if binary else pq.Format.TEXT)
    connection.pgconn.set_chunked_rows_mode(1000) if hasattr(connection.pgconn, "set_chunked_rows_mode") and \
        pq.version() >= 170000 else connection.pgconn.set_single_row_mode()
    count = 0
    while result := connection.pgconn.get_result():
        if result.error_message:
            raise SystemExit(result.error_message.decode())
        count += result.ntuples
    return count


def rows_by_copy(connection, binary):
    sql = "COPY (SELECT * FROM lineitem) TO STDOUT" + (" (FORMAT binary)" if binary else "")
    count = 0
    with connection.cursor().copy(sql) as copy:
        for _ in copy:
            count += 1
    return count


def drain(connection, binary, sql):
    """Sends one statement by the extended protocol and reads the answer as bytes; the tag tells the number of rows."""
    def message(kind, body):
        return kind + struct.pack("!i", len(body) + 4) + body

    parts = [message(b"P", b"\0" + sql.encode() + b"\0\0\0"), message(b"B", b"\0\0\0\0\0\0" + struct.pack("!hh", 1, int(binary))),
             message(b"E", b"\0" + struct.pack("!i", 0)), message(b"S", b"")]
    end = re.compile(rb"C....(?:SELECT|COPY) (\d+)\0Z\0\0\0\x05I$", re.DOTALL)
    buffer, tail = bytearray(1 << 20), b""
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
        wire.setblocking(True)
        wire.sendall(b"".join(parts))
        while not (found := end.search(tail)):
            if not (count := wire.recv_into(buffer)):
                raise SystemExit("the server hung up")
            tail = (tail + buffer[max(0, count - 64):count])[-64:]
    return int(found.group(1))


def drain_rows(connection, binary):
    return drain(connection, binary, "SELECT * FROM lineitem")


def drain_copy(connection, binary):
    return drain(connection, False, "COPY (SELECT * FROM lineitem) TO STDOUT" + (" (FORMAT binary)" if binary else ""))


def measure(run, connect, binary):
    best, rows = 0.0, 0
    for _ in range(3):
        with connect() as connection:
            started = time.perf_counter()
            rows = run(connection, binary)
            best = max(best, rows / (time.perf_counter() - started))
    return best, rows


def watch(server, peaks, stop):
    while not stop.wait(0.05):
        peaks.append(server.resident_bytes())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scale", type=float)
    parser.add_argument("--cache", type=pathlib.Path)
    parser.add_argument("--server")
    arguments = parser.parse_args()
    tables = peer.make_tables(arguments.cache, arguments.scale)
    server, postgres = peer.Server(arguments.server, tables), Postgres(tables)
    try:
        with postgres.connect() as connection:
            version = connection.execute("SHOW server_version").fetchone()[0]
        print(f"lineitem at scale {arguments.scale:g}, best of 3, {peer.machine()}, PostgreSQL {version}, rows per second")
        print(f"{'what':<20} {'rows':>9} {'lakehold':>10} {'postgres':>10} {'ratio':>6} {'grew by':>9}")
        plain = functools.partial(server.connect, sslmode="disable")
        with plain() as connection:
            connection.execute("SELECT * FROM lineitem LIMIT 1000").fetchall()
        for name, run, binary in [("select text, libpq", rows_by_cursor, False), ("select binary, libpq", rows_by_cursor, True),
                                  ("copy text, libpq", rows_by_copy, False), ("copy binary, libpq", rows_by_copy, True),
                                  ("select text, drain", drain_rows, False), ("select binary, drain", drain_rows, True),
                                  ("copy text, drain", drain_copy, False), ("copy binary, drain", drain_copy, True)]:
            before, peaks, stop = server.resident_bytes(), [], threading.Event()
            watcher = threading.Thread(target=watch, args=(server, peaks, stop))
            watcher.start()
            ours, rows = measure(run, plain, binary)
            stop.set()
            watcher.join()
            theirs, _ = measure(run, postgres.connect, binary)
            grown = max(0, max(peaks) - before) >> 20
            print(f"{name:<20} {rows:>9} {ours:>10.0f} {theirs:>10.0f} {ours / theirs:>6.2f} {grown:>5} MiB", flush=True)
    finally:
        server.stop()
        postgres.stop()


if __name__ == "__main__":
    main()
