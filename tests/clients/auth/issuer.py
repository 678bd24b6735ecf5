"""An issuer of tokens over https: its keys are fetched, rotated and refused; libpq 18 hands tokens over. Usage: issuer.py OAUTH

OAUTH is oauth.c, compiled. The issuer's certificate is of an authority that only SSL_CERT_FILE names.
"""

import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

import psycopg
from cryptography.x509.oid import ExtendedKeyUsageOID

from servers import ADMIN, Authority, Server, Signer, authority, check

# The server fetches keys at most once in this many seconds.
REST = 30


class Issuer(http.server.ThreadingHTTPServer):
    """Serves its metadata and its keys, and counts how often somebody took the latter."""

    def __init__(self, certificate, key):
        super().__init__(("127.0.0.1", 0), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://localhost:{self.server_port}/tenant"
        self.keys, self.taken = [], 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, address):
        """Whoever does not trust the certificate ends the handshake."""


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        issuer = self.server
        documents = {
            "/tenant/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"},
            "/tenant/keys": {"keys": issuer.keys},
        }
        document = documents.get(self.path)
        issuer.taken += self.path == "/tenant/keys"
        body = json.dumps(document).encode()
        self.send_response(200 if document else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def oauth(server, token, user="ada", **changes):
    """What the program on libpq says: where it was sent for a token and who it is, or why it is not let in."""
    words = {"require_auth": "oauth", "oauth_issuer": issuer.url, "oauth_client_id": "lakehold-test", **changes}
    parameters = " ".join(f"{key}='{value}'" for key, value in server.parameters(user=user, **words).items())
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    done = subprocess.run([sys.argv[1], parameters], capture_output=True, text=True, env=dict(environment, TOKEN=token))
    return done.stdout.split() if done.returncode == 0 else done.stderr


theirs = Authority("issuers")
issuer = Issuer(*theirs.issue("issuer", ExtendedKeyUsageOID.SERVER_AUTH, ["localhost"]))
metadata = f"{issuer.url}/.well-known/openid-configuration"
trusting = ssl.create_default_context(cafile=theirs.path)
found = json.loads(urllib.request.urlopen(metadata, context=trusting).read())
old, new = Signer(issuer.url, "old"), Signer(issuer.url, "new")
stranger = Signer(issuer.url, "old")
issuer.keys = [old.jwk()]

RULES = f"""
[[auth.rule]]
users = ["token"]
method = "oidc"
[[auth.rule]]
users = ["admin"]
method = "scram"
[[auth.rule]]
method = "oauth"
[[auth.issuer]]
url = "{issuer.url}"
audience = ["lakehold"]
jwks = "{found['jwks_uri']}"
"""


def password(server, token):
    return server.psycopg(user="token", password=token)


def started(name, **environment):
    server = Server(name, RULES, **environment)
    with psycopg.connect(**server.parameters(user="admin", password=ADMIN), autocommit=True) as admin:
        admin.execute("CREATE USER ada")
        admin.execute("CREATE USER bob")
    return server


refused = 'password authentication failed for user "token"'
distrusting = started("distrusting", SSL_CERT_FILE=str(authority.path))
try:
    check("an issuer whose certificate nobody vouches for", password(distrusting, old.token()), refused)
    check("its keys were not taken", issuer.taken, 0)
finally:
    distrusting.stop()
(why,) = [line for line in distrusting.log().splitlines() if "keys of a token issuer cannot be fetched" in line]
check("the log says why", why, "UnknownIssuer")

server = started("trusting", SSL_CERT_FILE=str(theirs.path))
try:
    check("token as password", password(server, old.token()), [("ada",)])
    fetched = time.monotonic()
    check("token of a wrong key", password(server, stranger.token()), refused)
    check("token for another audience", password(server, old.token(aud="others")), refused)

    rejected = 'OAuth bearer authentication failed for user "ada"'
    told = [metadata, "openid"]
    check("libpq: token by its own flow", oauth(server, old.token()), [*told, "ada"])
    check("libpq: metadata known beforehand", oauth(server, old.token(), oauth_issuer=metadata), [metadata, "(null)", "ada"])
    check("libpq: token of somebody else", oauth(server, old.token(sub="bob")), rejected)
    check("libpq: token of a wrong key", oauth(server, stranger.token()), rejected)
    check("libpq: token that has ended", oauth(server, old.token(exp=1)), rejected)
    check("libpq: issuer that the user did not mean", oauth(server, old.token(), oauth_issuer="https://login.example.com"), "incompatible with oauth_issuer")
    check("libpq: without encryption", oauth(server, old.token(), sslmode="disable"), "needs encryption")
    check("keys were taken once", issuer.taken, 1)

    issuer.keys = [new.jwk()]
    time.sleep(max(0, REST + 1 - (time.monotonic() - fetched)))
    check("token of a rotated key", password(server, new.token()), [("ada",)])
    check("libpq: token of a rotated key", oauth(server, new.token()), [*told, "ada"])
    check("token of the key before it", password(server, old.token()), refused)
    check("libpq: token of the key before it", oauth(server, old.token()), rejected)
    check("keys were taken twice", issuer.taken, 2)
finally:
    server.stop()
print("the issuer's logins passed")
