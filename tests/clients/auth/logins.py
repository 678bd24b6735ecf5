"""Logins of psql and psycopg against a server with many rules. Needs psql in the path."""

import json
import os
import time

import psycopg
from cryptography.x509.oid import ExtendedKeyUsageOID

from servers import ADMIN, ROOT, Authority, Server, Signer, authority, check, server_certificate

stranger = Authority("theirs")
ada_certificate, ada_key = authority.issue("ada", ExtendedKeyUsageOID.CLIENT_AUTH)
evil_certificate, evil_key = stranger.issue("evil-ada", ExtendedKeyUsageOID.CLIENT_AUTH)
signer = Signer("https://login.example.com", "k")
jwks = ROOT / "keys.json"
jwks.write_text(json.dumps({"keys": [signer.jwk()]}))

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
        check(f"{name}: issued token", client(user="token", password=signer.token()), row)
        check(f"{name}: issued token that has ended", client(user="token", password=signer.token(exp=1)), failed("token"))
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
assert secret not in server.log() and "ada-password-1" not in server.log()
print("all logins passed")
