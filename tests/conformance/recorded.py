"""Requests as other clients sign them: each sends its own through a relay here, which keeps what passes. Used by `differential_suite.py`.

The environment is that of the suite; CERTIFICATE and CERTIFICATE_KEY are the server's, MC, STEADY, AWS_SDK and NODE_PATH say where the
clients are.
"""

import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

KEY, SECRET, REGION = (os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"))
CA = os.environ["AWS_CA_BUNDLE"]
HERE = Path(__file__).parent
BODY = b"hello, this is a body of some bytes"


class Relay:
    """An HTTPS server that gives each request to `server`, whole and as it came, and keeps (method, target, headers, body)."""

    def __init__(self, server):
        self.server = server
        self.kept = []
        self.inner = ssl.create_default_context(cafile=CA)
        self.outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.outer.load_cert_chain(os.environ["CERTIFICATE"], os.environ["CERTIFICATE_KEY"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            raw, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        try:
            with self.outer.wrap_socket(raw, server_side=True) as connection:
                connection.settimeout(20)
                self.one(connection, connection.makefile("rb"))
        except OSError:
            pass  # a client that goes away has sent what it wanted to

    def one(self, connection, reader):
        """One request; then the connection ends, so that each answer ends with its own."""
        method, target, _ = reader.readline().decode("latin-1").split(" ", 2)
        headers = []
        while (line := reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.strip().lower(), value.strip()))
        named = dict(headers)
        if named.get("expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        if named.get("transfer-encoding", "").lower() == "chunked":
            while size := int(reader.readline().split(b";")[0], 16):
                body += reader.read(size)
                reader.readline()
            while reader.readline() not in (b"\r\n", b""):
                pass
        else:
            body = reader.read(int(named.get("content-length", 0)))
        self.kept.append((method, target, headers, body))
        unsent = ("content-length", "transfer-encoding", "expect", "connection")
        head = f"{method} {target} HTTP/1.1\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers if name not in unsent)
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        upstream = socket.create_connection(("127.0.0.1", int(self.server.split(":")[1])), timeout=20, source_address=("127.0.0.2", 0))
        with self.inner.wrap_socket(upstream, server_hostname="localhost") as upstream:
            upstream.sendall(head.encode("latin-1") + body)
            while piece := upstream.recv(65536):
                connection.sendall(piece)

    def take(self, method, of):
        """The last request kept of this method whose target matches, for as long as 10 s."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for request in reversed(self.kept):
                if request[0] == method and re.fullmatch(of, request[1]):
                    return request
            time.sleep(0.05)
        raise AssertionError((method, of, [request[:2] for request in self.kept]))


def ran(*command, **environment):
    inherited = {name: value for name, value in os.environ.items() if name != "AWS_ENDPOINT_URL"}
    done = subprocess.run([str(part) for part in command], env={**inherited, **environment}, capture_output=True, timeout=60)
    assert done.returncode == 0, (command, done.stdout, done.stderr)


def mc(relay, bucket, folder):
    certificates = folder / "mc/certs/CAs"
    certificates.mkdir(parents=True)
    (certificates / "ca.crt").write_bytes(Path(CA).read_bytes())
    (folder / "mc-object").write_bytes(BODY)
    run = lambda *arguments: ran(os.environ["MC"], "--config-dir", folder / "mc", "--json", *arguments, HOME=str(folder))
    run("alias", "set", "relay", f"https://{relay.endpoint}", KEY, SECRET)
    run("cp", folder / "mc-object", f"relay/{bucket}/mc")
    run("cat", f"relay/{bucket}/mc")
    yield "mc put", relay.take("PUT", f"/{bucket}/mc")
    yield "mc get", relay.take("GET", f"/{bucket}/mc")


def minio_go(relay, bucket, folder):
    stop = folder / "stop"
    inherited = {name: value for name, value in os.environ.items() if name != "AWS_ENDPOINT_URL"}
    process = subprocess.Popen([os.environ["STEADY"], relay.endpoint, bucket, stop], env={**inherited, "SSL_CERT_FILE": CA}, stdout=subprocess.DEVNULL)
    try:
        put, get = (relay.take(method, f"/{bucket}/go[0-9]+") for method in ("PUT", "GET"))
    finally:
        stop.touch()
        process.wait(20)
    yield "minio-go put", put
    yield "minio-go get", get


def minio_js(relay, bucket, folder):
    host, port = relay.endpoint.split(":")
    ran(
        "node", HERE / "node/suite.mjs", HOST=host, PORT=port, KEY=KEY, SECRET=SECRET, REGION=REGION, BUCKET=bucket,
        NODE_EXTRA_CA_CERTS=CA,
    )
    name = f"/{bucket}/a%20b%20%C3%BC"
    yield "minio-js put", relay.take("PUT", name)
    yield "minio-js get", relay.take("GET", name)


def s3cmd(relay, bucket, folder):
    (folder / "s3cmd-object").write_bytes(BODY)
    for version, flags in (("", ()), ("v2 ", ("--signature-v2",))):
        run = lambda *arguments: ran(
            Path(sys.executable).parent / "s3cmd", "--config", "/dev/null", "--no-progress", f"--access_key={KEY}", f"--secret_key={SECRET}",
            f"--host={relay.endpoint}", f"--host-bucket={relay.endpoint}", f"--ca-certs={CA}", f"--region={REGION}", "--max-retries=0",
            "--force", *flags, *arguments,
        )
        run("put", folder / "s3cmd-object", f"s3://{bucket}/s3cmd")
        run("get", f"s3://{bucket}/s3cmd", folder / "back")
        yield f"{version}s3cmd put", relay.take("PUT", f"/{bucket}/s3cmd")
        yield f"{version}s3cmd get", relay.take("GET", f"/{bucket}/s3cmd")


def aws_sdk_rust(relay, bucket, folder):
    # Its suite makes the bucket: the same requests are asked of another one, which is made on both servers afterwards.
    ran(os.environ["AWS_SDK"], f"https://{relay.endpoint}", CA, f"{bucket}-sdk")
    name = rf"/{bucket}-sdk/a%20b/%C3%BC%2B%25(\?x-id=\w+)?"
    yield "aws-sdk-rust put", relay.take("PUT", name)
    yield "aws-sdk-rust get", relay.take("GET", name)


def requests(server, bucket):
    """(name, (method, target, headers, body)), of each client."""
    with tempfile.TemporaryDirectory() as folder:
        for client in (mc, minio_go, minio_js, s3cmd, aws_sdk_rust):
            yield from client(Relay(server), bucket, Path(folder))
