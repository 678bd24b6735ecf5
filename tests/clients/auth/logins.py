"""Logins against servers with different rules. Usage: logins.py BINARY; needs psql in the path."""

import base64
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BINARY = sys.argv[1]
ADMIN = "admin-password-1"
ROOT = pathlib.Path(tempfile.mkdtemp())
NOW = datetime.datetime.now(datetime.timezone.utc)


class Authority:
    """A certificate authority of our own."""

    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.path = ROOT / f"{name}.crt"
        builder = self.builder(self.name, self.key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.write(self.path, builder.sign(self.key, hashes.SHA256()))

    def builder(self, subject, public_key):
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public_key)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(NOW - datetime.timedelta(days=1)).not_valid_after(NOW + datetime.timedelta(days=1))

    def write(self, path, certificate):
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name, usage, hosts=()):
        """Paths of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self.builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        certificate, private = ROOT / f"{name}.crt", ROOT / f"{name}.key"
        self.write(certificate, builder.sign(self.key, hashes.SHA256()))
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        private.write_bytes(pem)
        private.chmod(0o600)
        return certificate, private


class Server:
    def __init__(self, name, rules):
        self.run = ROOT / name / "run"
        (ROOT / name).mkdir()
        config = ROOT / name / "lakehold.toml"
        config.write_text(
            f'[listen]\npostgres = "127.0.0.1:0"\nhttp = "127.0.0.1:0"\nunix_socket = "{self.run}"\n{rules}\n'
            f'[wire]\nunauthenticated_per_address = 100\n'
            f'[wire.tls]\ncertificate = "{server_certificate}"\nkey = "{server_key}"\nclient_ca = "{authority.path}"\n'
        )
        command = [BINARY, "serve", "--data-dir", str(ROOT / name / "data"), "--config", str(config)]
        environment = dict(os.environ, LAKEHOLD_ADMIN_PASSWORD=ADMIN)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(ROOT / name / "log", "w"), env=environment, text=True)
        for line in self.process.stdout:
            if line.startswith("lakehold ready:"):
                self.port = int(line.split("postgres=")[1].split()[0].rsplit(":", 1)[1])
                return
        sys.exit((ROOT / name / "log").read_text())

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0

    def parameters(self, **changes):
        base = {"host": "localhost", "hostaddr": "127.0.0.1", "port": self.port, "dbname": "main", "sslmode": "verify-full",
                "sslrootcert": str(authority.path), "sslcert": "none", "sslkey": "none", "connect_timeout": 10}
        base.update(changes)
        return {key: value for key, value in base.items() if value is not None}

    def psycopg(self, query="SELECT current_user", **changes):
        try:
            with psycopg.connect(**self.parameters(**changes), autocommit=True) as connection:
                return connection.execute(query).fetchall()
        except psycopg.OperationalError as error:
            return str(error)

    def psql(self, **changes):
        words = " ".join(f"{key}='{value}'" for key, value in self.parameters(**changes).items())
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        done = subprocess.run(["psql", "-XAtw", words, "-c", "SELECT current_user"], capture_output=True, text=True, env=environment)
        return done.stdout.strip() if done.returncode == 0 else done.stderr


def check(what, answer, expected):
    fits = expected in answer if isinstance(answer, str) else answer == expected
    assert fits, f"{what}: {answer!r} instead of {expected!r}"
    print("ok", what)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def web_token(key, **changes):
    claims = {"iss": "https://login.example.com", "aud": "lakehold", "sub": "ada", "exp": int(time.time()) + 300}
    claims.update(changes)
    signed = encode(json.dumps({"alg": "ES256", "kid": "k"}).encode()) + "." + encode(json.dumps(claims).encode())
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return signed + "." + encode(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


authority, stranger = Authority("ours"), Authority("theirs")
server_certificate, server_key = authority.issue("server", ExtendedKeyUsageOID.SERVER_AUTH, ["localhost"])
ada_certificate, ada_key = authority.issue("ada", ExtendedKeyUsageOID.CLIENT_AUTH)
evil_certificate, evil_key = stranger.issue("evil-ada", ExtendedKeyUsageOID.CLIENT_AUTH)
signer = ec.generate_private_key(ec.SECP256R1())
numbers = signer.public_key().public_numbers()
point = {"x": encode(numbers.x.to_bytes(32, "big")), "y": encode(numbers.y.to_bytes(32, "big"))}
jwks = ROOT / "keys.json"
jwks.write_text(json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", **point}]}))

uid = os.getuid()
server = Server("all", f"""
[[auth.rule]]
addresses = ["local"]
method = "peer"
map = "ops"
[[auth.rule]]
users = ["token"]
method = "bearer"
[[auth.rule]]
users = ["carl"]
method = "certificate"
map = "mail"
[[auth.rule]]
groups = ["machines"]
method = "certificate"
[[auth.rule]]
method = "scram"
[[auth.name_map]]
map = "ops"
system = "{uid}"
role = "admin"
[[auth.name_map]]
map = "mail"
system = "ada"
role = "carl"
[[auth.issuer]]
url = "https://login.example.com"
audience = ["lakehold"]
jwks = "{jwks}"
""")
try:
    with psycopg.connect(**server.parameters(user="admin", password=ADMIN), autocommit=True) as admin:
        for statement in ["CREATE GROUP machines", "CREATE USER ada PASSWORD 'ada-password-1'", "CREATE USER carl", "CREATE USER robot",
                          "GRANT machines TO robot"]:
            admin.execute(statement)
        secret = admin.execute("CREATE TOKEN FOR ada COMMENT 'test' LIFETIME '1 hour'").fetchone()[0]
        spare = admin.execute("CREATE TOKEN FOR ada").fetchone()
        admin.execute(f"DROP TOKEN '{spare[1]}'")

    ada = {"user": "ada", "password": "ada-password-1"}
    failed = 'password authentication failed for user "{}"'.format
    for client in (server.psql, server.psycopg):
        name, row = (("psql", "ada") if client == server.psql else ("psycopg", [("ada",)]))
        check(f"{name}: channel binding required", client(**ada, channel_binding="require"), row)
        check(f"{name}: channel binding disabled", client(**ada, channel_binding="disable"), row)
        check(f"{name}: without encryption on this machine", client(**ada, sslmode="disable"), row)
        check(f"{name}: binding needs encryption", client(**ada, sslmode="disable", channel_binding="require"), "channel binding required")
        check(f"{name}: wrong password", client(user="ada", password="x", channel_binding="require"), failed("ada"))
        check(f"{name}: unknown user", client(user="zoe", password="x", channel_binding="require"), failed("zoe"))
        check(f"{name}: our token", client(user="token", password=secret), row)
        check(f"{name}: dropped token", client(user="token", password=spare[0]), failed("token"))
        check(f"{name}: token without encryption", client(user="token", password=secret, sslmode="disable"), "needs encryption")
        check(f"{name}: issued token", client(user="token", password=web_token(signer)), row)
        check(f"{name}: issued token that has ended", client(user="token", password=web_token(signer, exp=1)), failed("token"))
        check(f"{name}: a token is no answer to channel binding", client(user="token", password=secret, channel_binding="require"), "channel binding required")
        carl = [("carl",)] if name == "psycopg" else "carl"
        mapped = {"user": "carl", "sslcert": str(ada_certificate), "sslkey": str(ada_key)}
        check(f"{name}: certificate by map", client(**mapped), carl)
        check(f"{name}: certificate of somebody else", client(**{**mapped, "user": "robot"}), 'certificate authentication failed for user "robot"')
        check(f"{name}: certificate is missing", client(user="carl"), "connection requires a valid client certificate")
        check(f"{name}: certificate of a stranger", client(user="carl", sslcert=str(evil_certificate), sslkey=str(evil_key)), "SSL error")
        local = {"host": str(server.run), "hostaddr": None, "sslmode": None, "sslrootcert": None, "sslcert": None, "sslkey": None}
        administrator = [("admin",)] if name == "psycopg" else "admin"
        check(f"{name}: Unix socket", client(user="admin", **local), administrator)
        check(f"{name}: Unix socket as somebody else", client(user="ada", **local), 'Peer authentication failed for user "ada"')

    # A new certificate is in service soon; whoever is in stays.
    with psycopg.connect(**server.parameters(**ada), autocommit=True) as session:
        before = server_certificate.read_bytes()
        authority.issue("server", ExtendedKeyUsageOID.SERVER_AUTH, ["localhost"])
        assert server_certificate.read_bytes() != before
        time.sleep(11)
        check("after a new certificate", server.psycopg(**ada, channel_binding="require"), [("ada",)])
        check("session from before it", session.execute("SELECT current_user").fetchall(), [("ada",)])
finally:
    server.stop()
log = (ROOT / "all" / "log").read_text()
assert secret not in log and "ada-password-1" not in log
print("all logins passed")
