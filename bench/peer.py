"""What the benches share: the tables, the server under test, DuckDB."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import duckdb
import psycopg

PASSWORD = "bench-password-1"
TABLES = ["region", "nation", "supplier", "part", "customer", "partsupp", "orders", "lineitem"]


def make_tables(cache: pathlib.Path, scale: float) -> pathlib.Path:
    """Delta tables of TPC-H at `scale`, written by the deltalake package; made once."""
    import pyarrow.parquet
    from deltalake import write_deltalake

    root = cache / f"tpch-{scale:g}"
    if (root / "done").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    raw = root / "parquet"
    raw.mkdir(parents=True)
    generator = cache / "venv" / "bin" / "tpchgen-cli"
    subprocess.run([generator, "parquet", "-s", f"{scale:g}", "--output-dir", raw], check=True)
    for table in TABLES:
        reader = pyarrow.parquet.ParquetFile(raw / f"{table}.parquet")
        schema = plain(reader.schema_arrow)
        batches = (batch.cast(schema) for batch in reader.iter_batches(65536))
        import pyarrow

        write_deltalake(str(root / "delta" / table), pyarrow.RecordBatchReader.from_batches(schema, batches))
    shutil.rmtree(raw)
    (root / "done").touch()
    return root


def plain(schema):
    """Strings without views: Delta writers of this version do not take them."""
    import pyarrow

    fields = [
        pyarrow.field(f.name, pyarrow.string() if pyarrow.types.is_string_view(f.type) else f.type, nullable=True)
        for f in schema
    ]
    return pyarrow.schema(fields)


class Server:
    """The release binary on a fresh data directory, with the tables below `root` registered in main.tpch."""

    def __init__(self, binary: str, root: pathlib.Path, tables: list[str] = TABLES, settings: list[str] = []):
        self.data = tempfile.mkdtemp(prefix="lakehold-bench-")
        environment = dict(os.environ, LAKEHOLD_ADMIN_PASSWORD=PASSWORD)
        self.process = subprocess.Popen(
            [binary, "serve", "--data-dir", self.data]
            + [part for setting in ["listen.postgres=127.0.0.1:0", "listen.http=127.0.0.1:0", *settings] for part in ("--set", setting)],
            stdout=subprocess.PIPE, text=True, env=environment,
        )
        line = next(line for line in self.process.stdout if line.startswith("lakehold ready"))
        self.port = int(line.split("postgres=")[1].split()[0].rsplit(":", 1)[1])
        with self.connect() as admin:
            admin.execute(f"CREATE EXTERNAL LOCATION bench URL 'file://{root}'")
            admin.execute("CREATE SCHEMA tpch")
            for table in tables:
                admin.execute(f"CREATE TABLE tpch.{table} USING DELTA LOCATION 'file://{root}/delta/{table}'")

    def connect(self, user: str = "admin", password: str = PASSWORD, **more) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, dbname="main", autocommit=True,
            options="-c search_path=tpch", **more,
        )

    def peak_bytes(self) -> int:
        return self.status("VmHWM")

    def resident_bytes(self) -> int:
        return self.status("VmRSS")

    def status(self, key: str) -> int:
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
        raise KeyError(key)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        shutil.rmtree(self.data, ignore_errors=True)


def open_duckdb(tables: pathlib.Path, threads: int) -> duckdb.DuckDBPyConnection:
    """DuckDB over the same Delta tables."""
    import duckdb_extension_delta
    import duckdb_extension_tpch

    connection = duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": threads})
    for package in (duckdb_extension_delta, duckdb_extension_tpch):
        folder = pathlib.Path(package.__file__).parent / "extensions"
        connection.execute(f"LOAD '{next(folder.rglob('*.duckdb_extension'))}'")
    for table in TABLES:
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM delta_scan('file://{tables}/delta/{table}')")
    return connection


def machine() -> str:
    """What the numbers were measured on."""
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) // (1 << 20)
    return f"{os.cpu_count()} cores, {memory} GiB"
