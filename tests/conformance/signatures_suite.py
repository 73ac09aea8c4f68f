"""Each form of signature that a client makes, sent by that client. Run by `conformance/signatures.rs`, which sets AWS_* and
reads one line for each case.

A case is a function whose name begins with `case_`; the rest of the name is its claim. Each gets a fresh bucket.
"""

import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
from datetime import datetime, timedelta, timezone
from pathlib import Path

import boto3
import minio
import minio.datatypes
import requests
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from suite import run

CA = os.environ["AWS_CA_BUNDLE"]
KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
ENDPOINT, REGION = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"]
HOST = urllib.parse.urlsplit(ENDPOINT).netloc
NODE = os.environ["COFFER_TEST_NODE"]
BIN = Path(sys.executable).parent

session = requests.Session()
session.trust_env = False
session.verify = CA


def client(version, endpoint=ENDPOINT, secret=SECRET, **s3):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, signature_version=version, s3=s3 or None),
    )


v4, v2 = client("s3v4"), client("s3")


def body_of(bucket, key):
    return v4.get_object(Bucket=bucket, Key=key)["Body"].read()


def keys_of(bucket):
    return [entry["Key"] for entry in v4.list_objects_v2(Bucket=bucket).get("Contents", [])]


def code_of(answer):
    found = re.search("<Code>(.*?)</Code>", answer.text)
    return (found.group(1) if found else "", answer.status_code)


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        got = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert got == (code, status), f"expected {code} {status}, got {got}: {error}"
        return
    raise AssertionError(f"expected {code} {status}, but it was done")


# -- Signature V2, boto3


def everything(s3, bucket):
    """What scripts do, with sub-resources, overrides and awkward keys in what is signed."""
    for key in ("a", "a b+c/ü~'()!*&=@:,;$", "a//b/../c", "100%/%2F"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"hello", ContentType="text/plain", Metadata={"a": "b  c", "d": "e"})
        got = s3.get_object(Bucket=bucket, Key=key, ResponseContentType="text/x", ResponseCacheControl="no-cache, max-age=0")
        assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"hello", "text/x", {"a": "b  c", "d": "e"}), key
        assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == 5
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="a", Delimiter="/", MaxKeys=2)
    assert listed["KeyCount"] == 2, listed
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] in (None, REGION)
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"part")
    assert s3.list_parts(Bucket=bucket, Key="m", UploadId=upload)["Parts"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a b+c/ü~'()!*&=@:,;$"})
    assert body_of(bucket, "copy") == b"hello"
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys_of(bucket)]})
    assert keys_of(bucket) == []


def case_boto3_v2_header(bucket):
    assert any(entry["Name"] == bucket for entry in v2.list_buckets()["Buckets"])
    everything(v2, bucket)
    refused("SignatureDoesNotMatch", 403, client("s3", secret="wrong-secret").list_objects_v2, Bucket=bucket)


def case_boto3_v2_header_virtual_host(bucket):
    endpoint = ENDPOINT.replace("//localhost", "//s3.localhost")
    everything(client("s3", endpoint, addressing_style="virtual"), bucket)


def presigned(s3, bucket):
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b", "ContentType": "text/plain"})
    answer = session.put(put, data=b"hello", headers={"content-type": "text/plain"})
    assert answer.status_code == 200, answer.text
    assert session.put(put, data=b"x", headers={"content-type": "text/html"}).status_code == 403
    assert session.put(put, data=b"x", headers={"content-type": "text/plain", "x-amz-acl": "private"}).status_code == 403
    get = s3.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "a b", "ResponseContentDisposition": 'attachment; filename="a b"'}
    )
    answer = session.get(get)
    assert (answer.content, answer.headers["content-disposition"]) == (b"hello", 'attachment; filename="a b"'), answer.text
    assert session.get(get.replace("a%20b%22", "c%22")).status_code == 403
    assert session.delete(get).status_code == 403
    assert session.get(get + "&versionId=null").status_code == 403
    brief = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b"}, ExpiresIn=1)
    assert session.get(brief).content == b"hello"
    time.sleep(2.1)
    assert code_of(session.get(brief)) == ("AccessDenied", 403)


def case_boto3_v2_presigned(bucket):
    presigned(v2, bucket)


def case_boto3_v4_presigned(bucket):
    presigned(v4, bucket)


# -- POST forms, boto3


def forms(s3, bucket):
    fields = {"Content-Type": "text/plain", "x-amz-meta-a": "b", "success_action_status": "201"}
    conditions = [{name: value} for name, value in fields.items()] + [["content-length-range", 2, 100]]
    post = s3.generate_presigned_post(bucket, "in/${filename}", fields, conditions, ExpiresIn=60)

    def send(content=b"hello", name="a b.txt", **bent):
        return session.post(post["url"], data={**post["fields"], **bent}, files={"file": (name, content)})

    answer = send()
    assert answer.status_code == 201, answer.text
    assert "<Key>in/a b.txt</Key>" in answer.text and f"<Bucket>{bucket}</Bucket>" in answer.text, answer.text
    head = v4.head_object(Bucket=bucket, Key="in/a b.txt")
    assert (head["ContentType"], head["Metadata"], head["ContentLength"]) == ("text/plain", {"a": "b"}, 5), head
    assert f'<ETag>{head["ETag"]}</ETag>'.replace('"', "&quot;") in answer.text, answer.text
    assert answer.headers["location"].endswith("/in/a%20b.txt"), answer.headers
    large = os.urandom(100)
    assert send(large, "C:\\x\\large").status_code == 201
    assert body_of(bucket, "in/large") == large
    kept = keys_of(bucket)
    for code, status, answer in (
        ("EntityTooSmall", 400, send(b"x")),
        ("EntityTooLarge", 400, send(b"x" * 101)),
        ("EntityTooLarge", 400, send(b"x" * 700_000)),
        ("AccessDenied", 403, send(key="out/${filename}")),
        ("AccessDenied", 403, send(acl="private")),
        ("AccessDenied", 403, send(**{"Content-Type": "text/html"})),
        ("AccessDenied", 403, send(**{"x-amz-meta-a": "c"})),
        ("AccessDenied", 403, send(bucket="another")),
    ):
        assert code_of(answer) == (code, status), (code, status, answer.text)
    other = session.post(post["url"].replace(bucket, bucket + "-x"), data=post["fields"], files={"file": b"hello"})
    assert other.status_code == 403, other.text
    gone = s3.generate_presigned_post(bucket, "gone", ExpiresIn=-60)
    answer = session.post(gone["url"], data=gone["fields"], files={"file": b"hello"})
    assert code_of(answer) == ("AccessDenied", 403), answer.text
    nobody = session.post(post["url"], data={"key": "nobody"}, files={"file": b"hello"})
    assert code_of(nobody) == ("AccessDenied", 403), nobody.text
    assert keys_of(bucket) == kept

    # A file of many pieces, by curl; a page to go on to; no status at all.
    post = s3.generate_presigned_post(
        bucket, "by-curl", {"success_action_redirect": "https://a.example/b?c=d"},
        [{"success_action_redirect": "https://a.example/b?c=d"}], ExpiresIn=60,
    )
    content = os.urandom(20_000_000)
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        arguments = [f"{name}={value}" for name, value in post["fields"].items()] + [f"file=@{file.name}"]
        command = ["curl", "-sS", "--noproxy", "*", "--cacert", CA, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"]
        command += [word for argument in arguments for word in ("-F", argument)] + [post["url"]]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    etag = urllib.parse.quote(v4.head_object(Bucket=bucket, Key="by-curl")["ETag"])
    assert said == f"303 https://a.example/b?c=d&bucket={bucket}&key=by-curl&etag={etag}", said
    assert body_of(bucket, "by-curl") == content
    post = s3.generate_presigned_post(bucket, "empty")
    answer = session.post(post["url"], data=post["fields"], files={"file": b""})
    assert (answer.status_code, answer.content) == (204, b""), answer.text
    assert body_of(bucket, "empty") == b""


def case_boto3_v4_form(bucket):
    forms(v4, bucket)


def case_boto3_v2_form(bucket):
    forms(v2, bucket)


def case_boto3_forms_virtual_host(bucket):
    endpoint = ENDPOINT.replace("//localhost", "//s3.localhost")
    for version in ("s3v4", "s3"):
        post = client(version, endpoint, addressing_style="virtual").generate_presigned_post(bucket, version)
        assert f"//{bucket}.s3.localhost" in post["url"], post["url"]
        answer = session.post(post["url"], data=post["fields"], files={"file": b"hello"})
        assert answer.status_code == 204, answer.text
        assert answer.headers["location"] == post["url"] + version, answer.headers
        assert body_of(bucket, version) == b"hello"


# -- s3cmd


def s3cmd(bucket, *flags):
    def run(*arguments, status=0):
        done = subprocess.run(
            [
                BIN / "s3cmd", "--config", "/dev/null", "--no-progress", f"--access_key={KEY}", f"--secret_key={SECRET}",
                f"--host={HOST}", f"--host-bucket={HOST}", f"--ca-certs={CA}", f"--region={REGION}", "--max-retries=0",
                *flags, *arguments,
            ],
            capture_output=True,
        )
        assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout

    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        small.write_bytes(b"hello")
        large.write_bytes(os.urandom(6_000_000))
        run("put", "--add-header=x-amz-meta-a:b", small, f"s3://{bucket}/a b ü")
        run("put", "--multipart-chunk-size-mb=5", large, f"s3://{bucket}/large")
        assert run("get", f"s3://{bucket}/a b ü", "-") == b"hello"
        assert body_of(bucket, "large") == large.read_bytes()
        assert b"large" in run("ls", f"s3://{bucket}")
        assert b"x-amz-meta-a: b" in run("info", f"s3://{bucket}/a b ü")
        run("cp", f"s3://{bucket}/large", f"s3://{bucket}/copy")
        url = run("signurl", f"s3://{bucket}/copy", "+60").decode().strip().replace("http://", "https://")
        run("del", f"s3://{bucket}/large", f"s3://{bucket}/a b ü")
        assert keys_of(bucket) == ["copy"]
        return url, large.stat().st_size


def case_s3cmd_v2(bucket):
    # Its presigned URLs are V2's.
    url, size = s3cmd(bucket, "--signature-v2")
    assert "AWSAccessKeyId=" in url, url
    assert len(session.get(url).content) == size
    assert session.get(url + "&acl").status_code == 403


def case_s3cmd_v4(bucket):
    s3cmd(bucket)


# -- minio-py


def case_minio_py_v4(bucket):
    http = urllib3.PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=CA)
    py = minio.Minio(HOST, access_key=KEY, secret_key=SECRET, region=REGION, http_client=http)
    content = os.urandom(6_000_000)
    py.put_object(bucket_name=bucket, object_name="a b", data=io.BytesIO(content), length=-1, part_size=5 * 1024 * 1024)
    assert py.get_object(bucket_name=bucket, object_name="a b").read() == content
    assert [entry.object_name for entry in py.list_objects(bucket_name=bucket)] == ["a b"]
    get = py.presigned_get_object(bucket_name=bucket, object_name="a b", expires=timedelta(minutes=1))
    assert session.get(get).content == content
    put = py.presigned_put_object(bucket_name=bucket, object_name="put")
    assert session.put(put, data=b"hello").status_code == 200
    assert body_of(bucket, "put") == b"hello"
    policy = minio.datatypes.PostPolicy(bucket, datetime.now(timezone.utc) + timedelta(minutes=1))
    policy.add_starts_with_condition("key", "in/")
    policy.add_equals_condition("Content-Type", "text/plain")
    policy.add_content_length_range_condition(1, 10)
    fields = py.presigned_post_policy(policy)
    fields.update({"key": "in/form", "Content-Type": "text/plain"})
    answer = session.post(f"{ENDPOINT}/{bucket}", data=fields, files={"file": b"hello"})
    assert answer.status_code == 204, answer.text
    assert v4.head_object(Bucket=bucket, Key="in/form")["ContentType"] == "text/plain"
    assert session.post(f"{ENDPOINT}/{bucket}", data={**fields, "key": "out"}, files={"file": b"x"}).status_code == 403


# -- minio-js


def case_minio_js_v4(bucket):
    script = Path(__file__).parent / "node" / "suite.mjs"
    host, port = HOST.split(":")
    done = subprocess.run(
        ["node", script],
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"], "NODE_PATH": NODE, "NODE_EXTRA_CA_CERTS": CA, "HOST": host, "PORT": port,
            "KEY": KEY, "SECRET": SECRET, "REGION": REGION, "BUCKET": bucket,
        },
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    form = json.loads(done.stdout)
    answer = session.post(form["postURL"], data=form["formData"], files={"file": b"by minio-js"})
    assert answer.status_code == 204, answer.text
    assert body_of(bucket, "in/form") == b"by minio-js"
    assert session.get(form["get"]).text == "hello"
    assert session.put(form["put"], data=b"hello").status_code == 200
    assert keys_of(bucket) == ["a b ü", "in/form", "large", "put"]


if __name__ == "__main__":
    sys.exit(run(globals(), v4, "signed"))
