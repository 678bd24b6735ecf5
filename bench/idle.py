"""What an idle session costs: opens N of them and reports the server's resident memory for each.

Usage: bench/idle.py BINARY [N] [--tls]. Raise the limit of open files first: ulimit -n 20000.
"""

import os
import subprocess
import sys
import tempfile
import time

import psycopg

binary = sys.argv[1]
count = next((int(word) for word in sys.argv[2:] if word.isdigit()), 1000)
encrypted = "--tls" in sys.argv
password = "admin-password-1"


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


with tempfile.TemporaryDirectory() as data:
    settings = ["listen.postgres=127.0.0.1:0", "listen.http=127.0.0.1:0", f"wire.max_connections={count + 100}",
                f"wire.connections_per_user={count + 100}"]
    command = [binary, "serve", "--data-dir", data] + [word for setting in settings for word in ("--set", setting)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ, LAKEHOLD_ADMIN_PASSWORD=password), text=True)
    try:
        ready = next(line for line in server.stdout if line.startswith("lakehold ready:"))
        port = int(ready.split("postgres=")[1].split()[0].rsplit(":", 1)[1])
        mode = "require" if encrypted else "disable"
        words = f"host=127.0.0.1 port={port} user=admin password={password} dbname=main sslmode={mode}"

        def opened(number):
            sessions = []
            for _ in range(number):
                session = psycopg.connect(words, autocommit=True)
                session.execute("SELECT 1")
                sessions.append(session)
            # Buffers are given up after a second of silence.
            time.sleep(3)
            return sessions

        sessions = opened(50)
        before = resident(server.pid)
        started = time.monotonic()
        sessions += opened(count)
        seconds = time.monotonic() - started - 3
        after = resident(server.pid)
        print(f"{count} idle sessions, tls={encrypted}: {(after - before) / count:.1f} KiB each"
              f" (resident {before} -> {after} KiB), {seconds / count * 1000:.1f} ms to open one")
    finally:
        server.terminate()
        server.wait(60)
