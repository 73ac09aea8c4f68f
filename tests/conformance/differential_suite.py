"""The same signed requests, whole and bent, to this server and to the `minio` program. Run by `conformance/differential.rs`,
which sets COFFER and MINIO to `host:port`, AWS_* to the keys of both, and reads a report of one JSON object.

Each request is signed once, for a host that is neither's, and sent to both byte by byte. Whole, both have to accept it. Bent
in what its signature covers, this server has to refuse it; where MinIO answers another code, `differences.json` has to say why.
"""

import base64
import hashlib
import hmac
import io
import json
import os
import re
import socket
import ssl
import sys
import urllib.parse
import zlib
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import boto3
import minio
import minio.datatypes
import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

import recorded

KEY, SECRET, REGION = (os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"))
CA = os.environ["AWS_CA_BUNDLE"]
HOST = "s3.example"
BUCKET = "differential"
BODY = b"hello, this is a body of some bytes"
CREDENTIALS = Credentials(KEY, SECRET)

Request = namedtuple("Request", "method path query headers body")
TLS = ssl.create_default_context(cafile=CA)


# -- sending


def send(server, request):
    """(status, code) of an answer; the code of a success is empty."""
    _, port = server.split(":")
    target = request.path + ("?" + request.query if request.query else "")
    head = f"{request.method} {target} HTTP/1.1\r\n"
    names = {name.lower() for name, _ in request.headers}
    head += "" if "host" in names else f"host: {HOST}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in request.headers)
    head += f"content-length: {len(request.body)}\r\nconnection: close\r\n\r\n"
    answer = b""
    # From another address: thousands of connections must not take the ports that other tests are about to listen on.
    raw = socket.create_connection(("127.0.0.1", int(port)), timeout=20, source_address=("127.0.0.2", 0))
    with TLS.wrap_socket(raw, server_hostname="localhost") as connection:
        try:
            connection.sendall(head.encode("latin-1") + request.body)
        except OSError:
            pass  # an answer may have come before all was sent
        try:
            while piece := connection.recv(65536):
                answer += piece
        except OSError:
            pass
    status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
    code = re.search(rb"<Code>(.*?)</Code>", answer)
    code = code or re.search(rb"(?i)x-minio-error-code: (\w+)", answer)
    return status, code.group(1).decode() if code and status >= 400 else ""


# -- signing


class Captured(Exception):
    def __init__(self, request):
        super().__init__()
        self.request = request


def capture(version, call, **config):
    """What boto3 would send."""
    client = boto3.client(
        "s3", endpoint_url=f"https://{HOST}", config=Config(signature_version=version, s3={"addressing_style": "path"}, **config)
    )

    def stop(request, **_):
        raise Captured(request)

    client.meta.events.register("before-send.s3", stop)
    try:
        call(client)
    except Captured as captured:
        request = captured.request
        body = request.body or b""
        if hasattr(body, "read"):
            body = body.read()
        return split(request.method, request.url, request.headers.items(), body if isinstance(body, bytes) else body.encode())
    raise AssertionError("nothing was sent")


def split(method, url, headers, body):
    parts = urllib.parse.urlsplit(url)
    text = lambda value: value.decode("latin-1") if isinstance(value, bytes) else str(value)
    unsent = ("content-length", "expect", "connection", "transfer-encoding")
    headers = [(text(name).lower(), text(value)) for name, value in headers if text(name).lower() not in unsent]
    return Request(method, parts.path, parts.query, headers, body)


def presigned(version, operation, headers=(), body=b"", **arguments):
    client = boto3.client("s3", endpoint_url=f"https://{HOST}", config=Config(signature_version=version, s3={"addressing_style": "path"}))
    url = client.generate_presigned_url(operation, Params={"Bucket": BUCKET, **arguments}, ExpiresIn=600)
    return split({"get_object": "GET", "put_object": "PUT"}[operation], url, headers, body)


class Signed(S3SigV4Auth):
    """botocore's signature of headers that announce a body in chunks."""

    def __init__(self, payload):
        super().__init__(CREDENTIALS, "s3", REGION)
        self.announced = payload

    def _should_sha256_sign_payload(self, request):
        return True

    def payload(self, request):
        return self.announced


def chunked(trailer):
    """Chunks as Amazon S3's documentation signs them, by botocore's keys."""
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    headers = {"x-amz-decoded-content-length": str(len(BODY)), "content-encoding": "aws-chunked"}
    if trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    request = AWSRequest("PUT", f"https://{HOST}/{BUCKET}/chunked", headers=headers, data=b"")
    request.headers["x-amz-content-sha256"] = payload
    auth = Signed(payload)
    auth.add_auth(request)
    date = request.headers["X-Amz-Date"]
    scope = f"{date[:8]}/{REGION}/s3/aws4_request"
    key = ("AWS4" + SECRET).encode()
    for part in (date[:8], REGION, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    sign = lambda text: hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    digest = lambda data: hashlib.sha256(data).hexdigest()
    previous = request.headers["Authorization"].rsplit("Signature=", 1)[1]
    body = b""
    for chunk in (BODY[:20], BODY[20:], b""):
        previous = sign(f"AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{digest(b'')}\n{digest(chunk)}")
        body += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + (chunk + b"\r\n" if chunk else b"")
    if trailer:
        checksum = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
        line = f"x-amz-checksum-crc32:{checksum}"
        signature = sign(f"AWS4-HMAC-SHA256-TRAILER\n{date}\n{scope}\n{previous}\n{digest(line.encode() + bytes([10]))}")
        body += f"{line}\r\nx-amz-trailer-signature:{signature}\r\n".encode()
    return split("PUT", request.url, request.headers.items(), body + b"\r\n")


def form(version):
    client = boto3.client("s3", endpoint_url=f"https://{HOST}", config=Config(signature_version=version, s3={"addressing_style": "path"}))
    fields = {"Content-Type": "text/plain", "x-amz-meta-a": "b"}
    conditions = [{name: value} for name, value in fields.items()] + [["content-length-range", 1, 100]]
    return client.generate_presigned_post(BUCKET, "form", fields, conditions, ExpiresIn=600)["fields"]


def posted(fields, file=BODY, after=()):
    """A form's request, of (name, value) in this order."""
    boundary = "a-boundary-of-ours"
    disposition = lambda name: f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"'
    body = "".join(f"{disposition(name)}\r\n\r\n{value}\r\n" for name, value in fields).encode()
    if file is not None:
        body += f'{disposition("file")}; filename="a.txt"\r\ncontent-type: text/plain\r\n\r\n'.encode() + file + b"\r\n"
    body += "".join(f"{disposition(name)}\r\n\r\n{value}\r\n" for name, value in after).encode()
    body += f"--{boundary}--\r\n".encode()
    return Request("POST", f"/{BUCKET}", "", [("content-type", f"multipart/form-data; boundary={boundary}")], body)


def minio_py(call):
    class Pool(urllib3.PoolManager):
        def urlopen(self, method, url, **arguments):
            raise Captured(split(method, url, dict(arguments["headers"]).items(), arguments.get("body") or b""))

    client = minio.Minio(HOST, access_key=KEY, secret_key=SECRET, region=REGION, http_client=Pool())
    try:
        call(client)
    except Captured as captured:
        return captured.request
    raise AssertionError("nothing was sent")


put = dict(Bucket=BUCKET, Key="a b", Body=BODY, ContentType="text/plain", Metadata={"a": "b"})
get = dict(Bucket=BUCKET, Key="a b", ResponseContentType="text/x")


def requests():
    """(name, request, whether the body's bytes are bound)"""
    hashed = {"request_checksum_calculation": "when_required"}
    yield "v4 header get", capture("s3v4", lambda s3: s3.get_object(**get)), True
    yield "v4 header put", signed_put(), True
    yield "v4 header list", capture("s3v4", lambda s3: s3.list_objects_v2(Bucket=BUCKET, Prefix="a", Delimiter="/")), True
    yield "v4 unsigned payload put", capture("s3v4", lambda s3: s3.put_object(**put), **hashed), False
    yield "v4 unsigned trailer put", capture("s3v4", lambda s3: s3.put_object(**put)), True
    yield "v4 chunked put", chunked(trailer=False), True
    yield "v4 chunked trailer put", chunked(trailer=True), True
    yield "v4 presigned get", presigned("s3v4", "get_object", Key="a b", ResponseContentType="text/x"), True
    yield "v4 presigned put", presigned(
        "s3v4", "put_object", [("content-type", "text/plain"), ("x-amz-meta-a", "b")], BODY,
        Key="a b", ContentType="text/plain", Metadata={"a": "b"},
    ), False
    yield "minio-py put", minio_py(lambda py: py.put_object(BUCKET, "a b", io.BytesIO(BODY), len(BODY), metadata={"a": "b"})), False
    yield "minio-py get", minio_py(lambda py: py.get_object(BUCKET, "a b")), True
    yield "v2 header get", capture("s3", lambda s3: s3.get_object(**get)), True
    yield "v2 header put", capture("s3", lambda s3: s3.put_object(**put), **hashed), False
    # botocore signs a bucket's path with the slash that it doesn't send, as AWS wants it. MinIO wants what is sent.
    uploads = capture("s3", lambda s3: s3.list_multipart_uploads(Bucket=BUCKET))
    yield "v2 header list", uploads._replace(path=uploads.path + "/"), True
    yield "v2 presigned get", presigned("s3", "get_object", Key="a b", ResponseContentType="text/x"), True
    yield "v2 presigned put", presigned(
        "s3", "put_object", [("content-type", "text/plain"), ("x-amz-meta-a", "b")], BODY,
        Key="a b", ContentType="text/plain", Metadata={"a": "b"},
    ), False


def of_other_clients(server):
    """The same, of clients whose requests pass a relay."""
    unsent = ("content-length", "expect", "connection", "transfer-encoding")
    for name, (method, target, headers, body) in recorded.requests(server, BUCKET):
        path, _, query = target.partition("?")
        kept = [(header, value) for header, value in headers if header not in unsent]
        unbound = name.startswith("v2") or dict(headers).get("x-amz-content-sha256") == "UNSIGNED-PAYLOAD"
        yield name, Request(method, path, query, kept, body), not unbound


def signed_put():
    headers = {"content-type": "text/plain", "x-amz-meta-a": "b"}
    request = AWSRequest("PUT", f"https://{HOST}/{BUCKET}/a%20b", headers=headers, data=BODY)
    request.headers["x-amz-content-sha256"] = hashlib.sha256(BODY).hexdigest()
    Signed(hashlib.sha256(BODY).hexdigest()).add_auth(request)
    return split("PUT", request.url, request.headers.items(), BODY)


# -- bending


def other(character):
    """Another character of the same kind."""
    if character.isdigit():
        return "1" if character == "0" else "0"
    if character.isalpha():
        return ("b" if character.islower() else "B") if character in "aA" else ("a" if character.islower() else "A")
    return "x"


def changed(text, at):
    return text[:at] + other(text[at]) + text[at + 1 :] if text else "x"


def signature_places(text):
    """Where in a text that ends in a signature it is bent: all along it."""
    return [len(text) - 1 - n for n in (2, 5, 9, 14, 20, 26)]


def bent(name, request, bound):
    """(what was changed, request)"""
    v2, presigned = name.startswith("v2"), "presigned" in name
    for method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
        if method != request.method:
            yield f"method {method}", request._replace(method=method)
    yield "path longer", request._replace(path=request.path.rstrip("/") + "/x")
    yield "path of another bucket", request._replace(path=request.path.replace(BUCKET, "another-one"))
    yield "path with a double slash", request._replace(path=request.path.replace(BUCKET + "/", BUCKET + "//") if BUCKET + "/" in request.path else request.path + "//")
    yield "path shorter", request._replace(path="/" + BUCKET + "/a" if request.path.count("/") > 1 else "/")
    yield "sub-resource acl", request._replace(query=(request.query + "&" if request.query else "") + "acl")
    yield "sub-resource versionId", request._replace(query=(request.query + "&" if request.query else "") + "versionId=null")
    yield "override added", request._replace(query=(request.query + "&" if request.query else "") + "response-cache-control=x")
    if not v2:
        yield "parameter added", request._replace(query=(request.query + "&" if request.query else "") + "a=b")
    pairs = request.query.split("&") if request.query else []
    for n, pair in enumerate(pairs):
        parameter, _, value = pair.partition("=")
        covered = not v2 or parameter in ("AWSAccessKeyId", "Expires", "Signature", "uploads", "response-content-type")
        if not covered or parameter == "X-Amz-Signature" or parameter == "Signature":
            continue
        without = pairs[:n] + pairs[n + 1 :]
        yield f"parameter {parameter} gone", request._replace(query="&".join(without))
        yield f"parameter {parameter} twice", request._replace(query="&".join(pairs + [pair]))
        if value:
            value = changed(value, len(value) - 1)
            yield f"parameter {parameter} changed", request._replace(query="&".join(without + [f"{parameter}={value}"]))

    authorization = dict(request.headers).get("authorization", "")
    listed = re.search("SignedHeaders=([^,&]*)", authorization) or re.search("X-Amz-SignedHeaders=([^&]*)", request.query)
    signed = urllib.parse.unquote(listed.group(1)).split(";") if listed else []
    for n, (header, value) in enumerate(request.headers):
        covered = header in signed or (v2 and (header in ("date", "content-type", "content-md5") or header.startswith("x-amz-")))
        if not covered or header == "host":
            continue
        rest = request.headers[:n] + request.headers[n + 1 :]
        yield f"header {header} changed", request._replace(headers=rest + [(header, changed(value, len(value) - 1))])
        yield f"header {header} gone", request._replace(headers=rest)
        yield f"header {header} twice", request._replace(headers=request.headers + [(header, value)])
    if not v2:
        yield "another host", request._replace(headers=[h for h in request.headers if h[0] != "host"] + [("host", "another.example")])
    for header, value in (
        ("x-amz-acl", "private"), ("x-amz-meta-z", "z"), ("x-amz-copy-source", f"/{BUCKET}/chunked"), ("x-amz-storage-class", "STANDARD"),
        ("x-amz-security-token", "token"), ("x-amz-tagging", "a=b"), ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-object-lock-mode", "GOVERNANCE"), ("x-amz-expected-bucket-owner", "1"),
    ):
        yield f"unsigned {header}", request._replace(headers=request.headers + [(header, value)])

    # The signature itself, and whose it is.
    def rewritten(old, new):
        headers = [(h, v.replace(old, new) if h == "authorization" else v) for h, v in request.headers]
        return request._replace(headers=headers, query=request.query if authorization else request.query.replace(old, new))

    text = authorization or request.query
    found = re.search(r"(?:Signature=|AWS [^:]*:)([^&,]*)", text)
    signature = found.group(1)
    for n, at in enumerate(signature_places(signature)):
        yield f"signature, place {n}", rewritten(signature, changed(signature, at))
    yield "signature cut", rewritten(signature, signature[:-2])
    yield "signature gone", rewritten(signature, "")
    yield "signature in capitals", rewritten(signature, signature.swapcase())
    yield "another key id", rewritten(KEY, "someotherkey")
    yield "a key id cut", rewritten(KEY, KEY[:-1])
    if not v2:
        day = re.search(r"\d{8}(?=(?:/|%2F)" + REGION + ")", text).group(0)
        yield "another day in the scope", rewritten(day + text[text.index(day) + 8], "20200101" + text[text.index(day) + 8])
        yield "another region", rewritten(REGION, "eu-west-1")
        for separator in ("/", "%2F"):
            if f"{separator}s3{separator}" in text:
                yield "another service", rewritten(f"{separator}s3{separator}", f"{separator}sts{separator}")
        yield "another terminator", rewritten("aws4_request", "aws5_request")
        yield "another algorithm", rewritten("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1")
        yield "host not signed", rewritten("host", "hosts")
    if authorization:
        for header in ("x-amz-date", "date"):
            value = dict(request.headers).get(header)
            if not value:
                continue
            for what, age in (("16 minutes ago", -16), ("in 16 minutes", 16), ("a day ago", -1440)):
                now = datetime.now(timezone.utc)
                at = now + timedelta(minutes=age)
                if abs(age) < 60 and at.date() != now.date():
                    continue  # another fault than the one that is meant
                stamp = at.strftime("%Y%m%dT%H%M%SZ" if header == "x-amz-date" else "%a, %d %b %Y %H:%M:%S GMT")
                yield f"dated {what}", request._replace(headers=[(h, stamp if h == header else v) for h, v in request.headers])
            yield "no date at all", request._replace(headers=[h for h in request.headers if h[0] not in ("x-amz-date", "date")])
            yield "a date that is none", request._replace(headers=[(h, "now" if h == header else v) for h, v in request.headers])
        yield "authorization twice", request._replace(headers=request.headers + [("authorization", authorization)])
        yield "a presigned signature beside it", request._replace(query=(request.query + "&" if request.query else "") + "X-Amz-Signature=" + "0" * 64)
        yield "a V2 signature beside it", request._replace(query=(request.query + "&" if request.query else "") + f"AWSAccessKeyId={KEY}&Expires=9999999999&Signature=a")
        yield "authorization gone", request._replace(headers=[h for h in request.headers if h[0] != "authorization"])
    else:
        yield "an authorization beside it", request._replace(headers=request.headers + [("authorization", f"AWS {KEY}:c2ln")])

    if bound and request.body:
        for place, n in enumerate(range(0, len(request.body), max(1, len(request.body) // 24))):
            # Hexadecimal digits stay such: what a changed byte means must not depend on the day's signatures.
            body = request.body[:n] + other(chr(request.body[n])).encode() + request.body[n + 1 :]
            yield f"body byte, place {place:02}", request._replace(body=body)
        yield "body cut by its last half", request._replace(body=request.body[: len(request.body) // 2])
        yield "body cut by three bytes", request._replace(body=request.body[:-3])
        yield "body gone", request._replace(body=b"")
        yield "body longer", request._replace(body=request.body + b"x")
    if "chunked" in name:
        yield "decoded length less", request._replace(body=request.body.replace(b"f;chunk", b"e;chunk"))
        first, _, rest = request.body.partition(BODY[:20] + b"\r\n")
        yield "first chunk left out", request._replace(body=rest)
        yield "first chunk twice", request._replace(body=first + BODY[:20] + b"\r\n" + request.body)
        yield "last chunk left out", request._replace(body=request.body[: request.body.rindex(b"0;chunk")])
        yield "chunk signatures left out", request._replace(body=re.sub(rb";chunk-signature=\w+", b"", request.body))
    if "trailer" in name:
        yield "trailer left out", request._replace(body=re.sub(rb"x-amz-checksum-crc32:[^\r]*\r\n", b"", request.body))
        yield "trailer changed", request._replace(body=re.sub(rb"(x-amz-checksum-crc32:).", rb"\1A", request.body) if b"crc32:A" not in request.body else re.sub(rb"(x-amz-checksum-crc32:).", rb"\1B", request.body))
        yield "another trailer", request._replace(body=request.body.replace(b"x-amz-checksum-crc32:", b"x-amz-checksum-sha1:"))


def bent_forms(fields):
    pairs = list(fields.items())
    for name, value in pairs:
        rest = [pair for pair in pairs if pair[0] != name]
        yield f"field {name} gone", posted(rest)
        yield f"field {name} changed", posted(rest + [(name, changed(value, len(value) // 2))])
        yield f"field {name} twice", posted(pairs + [(name, value)])
    signature = "x-amz-signature" if "x-amz-signature" in fields else "signature"
    for n, at in enumerate(signature_places(fields[signature])):
        yield f"signature, place {n}", posted([(k, changed(v, at) if k == signature else v) for k, v in pairs])
    for name, value in (
        ("acl", "private"), ("x-amz-meta-z", "z"), ("cache-control", "no-cache"), ("success_action_status", "200"),
        ("success_action_redirect", "https://a.example"), ("x-amz-storage-class", "STANDARD"), ("tagging", "a"),
        ("bucket", "another-one"), ("x-amz-security-token", "token"), ("anything", "else"),
    ):
        yield f"field {name} added", posted(pairs + [(name, value)])
    yield "another bucket", posted(pairs)._replace(path="/another-one")
    yield "an object's path", posted(pairs)._replace(path=f"/{BUCKET}/form")
    yield "PUT", posted(pairs)._replace(method="PUT")
    yield "file too large", posted(pairs, b"x" * 101)
    yield "file empty", posted(pairs, b"")
    yield "no file", posted(pairs, None)
    yield "fields after the file", posted(pairs[:1], BODY, pairs[1:])
    whole = posted(pairs)
    yield "body cut", whole._replace(body=whole.body[:-20])
    yield "file cut", whole._replace(body=whole.body[: whole.body.index(BODY) + 5])
    yield "another boundary", whole._replace(headers=[("content-type", "multipart/form-data; boundary=other")])
    yield "no boundary", whole._replace(headers=[("content-type", "multipart/form-data")])
    yield "not a form", whole._replace(headers=[("content-type", "text/plain")])
    yield "an authorization beside it", whole._replace(headers=whole.headers + [("authorization", f"AWS {KEY}:c2ln")])
    policy = json.loads(base64.b64decode(fields["policy"]))
    for what, change in (
        ("expired", {"expiration": "2020-01-01T00:00:00Z"}), ("without end", {"expiration": None}), ("without conditions", {"conditions": []}),
        ("for any key", {"conditions": [c for c in policy["conditions"] if "key" not in c] + [["starts-with", "$key", ""]]}),
    ):
        text = base64.b64encode(json.dumps({**policy, **change}).encode()).decode()
        yield f"policy {what}", posted([(k, text if k == "policy" else v) for k, v in pairs])


def main():
    coffer, beside = os.environ["COFFER"], os.environ["MINIO"]
    faults, found, counts = [], {}, {"whole": 0, "bent": 0, "same code": 0}
    for server in (coffer, beside):
        made = send(server, capture("s3v4", lambda s3: s3.create_bucket(Bucket=BUCKET)))
        assert made == (200, ""), (server, made)
    others = list(of_other_clients(coffer))
    made = send(beside, capture("s3v4", lambda s3: s3.create_bucket(Bucket=f"{BUCKET}-sdk")))
    assert made == (200, ""), made

    def whole(name, request, statuses=(200, 204)):
        counts["whole"] += 1
        for server, which in ((coffer, "coffer"), (beside, "minio")):
            answer = send(server, request)
            if answer[0] not in statuses:
                faults.append(f"{name}: {which} answers {answer} to the whole request")

    def both(task):
        return task, send(coffer, task[2]), send(beside, task[2])

    def judge(task, ours, theirs):
        name, what, _ = task
        counts["bent"] += 1
        if ours[0] < 400:
            faults.append(f"{name}: {what}: accepted with {ours[0]}; minio says {theirs}")
        if ours == theirs:
            counts["same code"] += 1
        else:
            tell = lambda answer: f"{answer[0]} {answer[1]}".strip()
            found.setdefault(f"{tell(ours)} | {tell(theirs)}", []).append(f"{name}: {what}")

    made = list(requests()) + others
    for name, request, _ in sorted(made, key=lambda row: row[1].method != "PUT"):
        whole(name, request)
    for version, name in (("s3v4", "v4 form"), ("s3", "v2 form")):
        whole(name, posted(form(version).items()))
    tasks = [
        (name, what, changed_request)
        for name, request, bound in made
        for what, changed_request in bent(name, request, bound)
        if changed_request != request
    ]
    for version, name in (("s3v4", "v4 form"), ("s3", "v2 form")):
        tasks += [(name, what, request) for what, request in bent_forms(form(version))]
    names = [task[:2] for task in tasks]
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(both, tasks):
            judge(*answer)
    json.dump({"faults": faults, "counts": counts, "differences": found}, sys.stdout)


if __name__ == "__main__":
    main()
