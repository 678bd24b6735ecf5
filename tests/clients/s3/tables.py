"""External and managed tables on S3, with a named credential; two credentials never mix; a path outside the location is refused."""

import logging

import boto3
import psycopg
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from moto.server import ThreadedMotoServer


def check(condition, what):
    if not condition:
        raise SystemExit(f"s3: {what}")


def quiet():
    """The S3 server logs every request otherwise."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)


def main():
    quiet()
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    s3.start()
    host, port = s3.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "canary-secret-key", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=endpoint, **keys).create_bucket(Bucket="lake")
    options = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "canary-secret-key", "AWS_REGION": "us-east-1",
               "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag"}
    write_deltalake("s3://lake/tables/t", pa.table({"id": [1, 2, 3], "name": ["a", "b", None]}), storage_options=options)

    with psycopg.connect(autocommit=True) as connection:
        run = connection.execute
        run("DROP SCHEMA IF EXISTS remote CASCADE")
        run("CREATE SCHEMA remote")
        run("CREATE STORAGE CREDENTIAL moto WITH (aws_access_key_id = 'test', aws_secret_access_key = 'canary-secret-key',"
            f" aws_region = 'us-east-1', aws_endpoint = '{endpoint}', aws_allow_http = 'true')")
        run("CREATE EXTERNAL LOCATION lake URL 's3://lake/tables' WITH (STORAGE CREDENTIAL moto)")
        run("CREATE TABLE remote.t USING DELTA LOCATION 's3://lake/tables/t'")
        check(run("SELECT count(*), max(name) FROM remote.t").fetchone() == (3, "b"), "read")
        run("INSERT INTO remote.t VALUES (4, 'd')")
        check(run("SELECT count(*) FROM remote.t").fetchone() == (4,), "written")
        check(DeltaTable("s3://lake/tables/t", storage_options=options).to_pyarrow_table().num_rows == 4, "deltalake reads what we wrote")
        run("CREATE TABLE remote.made (id bigint) USING DELTA LOCATION 's3://lake/tables/made'")
        run("INSERT INTO remote.made SELECT n FROM generate_series(1, 1000) g(n)")
        check(run("SELECT sum(id) FROM remote.made").fetchone() == (500500,), "made")
        for url in ("s3://lake/elsewhere", "s3://other/tables/t", "s3://lake/tables/../x", "s3://lake/tables%2f..%2fx"):
            try:
                run(f"CREATE TABLE remote.bad USING DELTA LOCATION '{url}'")
                check(False, f"{url} was accepted")
            except psycopg.Error as error:
                check("canary" not in str(error), "the key stands in an error")
        for relation in ("pg_class", "pg_settings", "pg_stat_activity", "information_schema.tables"):
            check("canary" not in str(run(f"SELECT * FROM {relation}").fetchall()), f"the key stands in {relation}")
        run("DROP SCHEMA remote CASCADE")
        run("DROP EXTERNAL LOCATION lake")
        run("DROP STORAGE CREDENTIAL moto")
    s3.stop()
    print("s3 passed")


main()
