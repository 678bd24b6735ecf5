"""Certificates, tokens and servers with rules of their own, for the tests of logins."""

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

BINARY = os.environ["LAKEHOLD_BINARY"]
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
    def __init__(self, name, rules, **environment):
        self.name, self.run = name, ROOT / name / "run"
        (ROOT / name).mkdir()
        config = ROOT / name / "lakehold.toml"
        config.write_text(
            f'[listen]\npostgres = "127.0.0.1:0"\nhttp = "127.0.0.1:0"\nunix_socket = "{self.run}"\n{rules}\n'
            f'[wire]\nunauthenticated_per_address = 100\n'
            f'[wire.tls]\ncertificate = "{server_certificate}"\nkey = "{server_key}"\nclient_ca = "{authority.path}"\n'
        )
        command = [BINARY, "serve", "--data-dir", str(ROOT / name / "data"), "--config", str(config)]
        environment = dict(os.environ, LAKEHOLD_ADMIN_PASSWORD=ADMIN, **environment)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(ROOT / name / "log", "w"), env=environment, text=True)
        for line in self.process.stdout:
            if line.startswith("lakehold ready:"):
                self.port = int(line.split("postgres=")[1].split()[0].rsplit(":", 1)[1])
                return
        sys.exit(self.log())

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0

    def log(self):
        return (ROOT / self.name / "log").read_text()

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
    fits = expected in answer if isinstance(answer, str) and isinstance(expected, str) else answer == expected
    assert fits, f"{what}: {answer!r} instead of {expected!r}"
    print("ok", what)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """A key of an issuer."""

    def __init__(self, issuer, kid):
        self.issuer, self.kid, self.key = issuer, kid, ec.generate_private_key(ec.SECP256R1())

    def jwk(self):
        numbers = self.key.public_key().public_numbers()
        point = {"x": encode(numbers.x.to_bytes(32, "big")), "y": encode(numbers.y.to_bytes(32, "big"))}
        return {"kty": "EC", "crv": "P-256", "kid": self.kid, **point}

    def token(self, **changes):
        claims = {"iss": self.issuer, "aud": "lakehold", "sub": "ada", "exp": int(time.time()) + 300}
        claims.update(changes)
        signed = encode(json.dumps({"alg": "ES256", "kid": self.kid}).encode()) + "." + encode(json.dumps(claims).encode())
        r, s = utils.decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return signed + "." + encode(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


authority = Authority("ours")
server_certificate, server_key = authority.issue("server", ExtendedKeyUsageOID.SERVER_AUTH, ["localhost"])
