"""Policies with conditions, each allowing one call of boto3 and denying another. Run by `conformance/conditions.rs`, which sets AWS_* and
makes the user `alice` in the group `staff`, and reads one line for each row.

Who may what is said by the bucket's policy alone: alice has none of her own for S3.
"""

import json
import os
import ssl
import sys
import traceback
import urllib.error
import urllib.request
import uuid
from typing import Callable, NamedTuple

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

import suite  # noqa: F401 (names below `localhost` are this machine's)

BUCKET = "conditions"


def client(access_key="alice", secret_key="alice-secret", **settings):
    return boto3.client(
        "s3",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(**{"retries": {"total_max_attempts": 1}, "signature_version": "s3v4", **settings}),
    )


root = boto3.client("s3")
alice = client()
by_version_2 = client(signature_version="s3")
by_app = client(user_agent_extra="photo-app/1.0")
nobody = client(signature_version=UNSIGNED)
from_page = client()
from_page.meta.events.register(
    "before-sign.s3", lambda request, **_: request.headers.add_header("Referer", "https://shop.example/page")
)


class Refused(Exception):
    """A refusal that didn't come through boto3."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


def presigned(key="a/1"):
    url = alice.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=600)
    trust = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    try:
        urllib.request.urlopen(url, context=trust).read()
    except urllib.error.HTTPError as error:
        raise Refused(error.read().decode().split("<Code>")[1].split("</Code>")[0]) from error


def get(key="a/1", by=alice, **more):
    return lambda: by.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


def put(key="new", by=alice, **more):
    return lambda: by.put_object(Bucket=BUCKET, Key=key, Body=b"x", **more)


def put_once(**more):
    return lambda: alice.put_object(Bucket=BUCKET, Key=f"once/{uuid.uuid4()}", Body=b"x", **more)


def copy(source, **more):
    return lambda: alice.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/{source}", **more)


def listed(call="list_objects_v2", by=alice, **more):
    return lambda: getattr(by, call)(Bucket=BUCKET, **more)


ALICE = {"AWS": ["arn:aws:iam:::user/alice"]}


class Row(NamedTuple):
    claim: str
    actions: list
    # A condition under which the first call is done, and the second isn't.
    condition: dict
    allowed: Callable
    denied: Callable
    # Where both calls are one: the condition under which it isn't done.
    otherwise: dict = None
    principal: object = ALICE
    resource: str = "*"
    # Further statements, as effect, actions and condition.
    more: list = ()


OBJECT = ["s3:GetObject"]
WRITE = ["s3:PutObject"]
LIST = ["s3:ListBucket"]
SSE = "s3:x-amz-server-side-encryption"
KEY_ID = "s3:x-amz-server-side-encryption-aws-kms-key-id"
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}

ROWS = [
    Row("a listing of one prefix", LIST, {"StringEquals": {"s3:prefix": "a/"}}, listed(Prefix="a/"), listed(Prefix="b/")),
    Row("a listing of prefixes like one", LIST, {"StringLike": {"s3:prefix": ["home/${aws:username}/*"]}}, listed(Prefix="home/alice/x"), listed(Prefix="home/bob/x")),
    Row("no listing of everything", LIST, {"StringNotEquals": {"s3:prefix": ""}}, listed(Prefix="a"), listed()),
    Row("a listing by the first version", LIST, {"StringEquals": {"s3:prefix": "a/"}}, listed("list_objects", Prefix="a/"), listed("list_objects", Prefix="a")),
    Row("a listing of versions", ["s3:ListBucketVersions"], {"StringEquals": {"s3:prefix": "a/"}}, listed("list_object_versions", Prefix="a/"), listed("list_object_versions", Prefix="b/")),
    Row("a listing of uploads", ["s3:ListBucketMultipartUploads"], {"StringEquals": {"s3:prefix": "a/"}}, listed("list_multipart_uploads", Prefix="a/"), listed("list_multipart_uploads", Prefix="b/")),
    Row("a listing by folders", LIST, {"StringEquals": {"s3:delimiter": "/"}}, listed(Delimiter="/"), listed(Delimiter="-")),
    Row("a listing without a delimiter", LIST, {"Null": {"s3:delimiter": "true"}}, listed(), listed(Delimiter="/")),
    Row("a listing of few keys", LIST, {"NumericLessThanEquals": {"s3:max-keys": "10"}}, listed(MaxKeys=10), listed(MaxKeys=11)),
    Row("a listing that says how many keys", LIST, {"NumericLessThanEquals": {"s3:max-keys": "10"}}, listed(MaxKeys=1), listed()),
    Row("a write by SSE-S3", WRITE, {"StringEquals": {SSE: "AES256"}}, put(ServerSideEncryption="AES256"), put(ServerSideEncryption="aws:kms")),
    Row("no write without encryption", WRITE, {}, put(ServerSideEncryption="AES256"), put(), more=[("Deny", WRITE, {"Null": {SSE: "true"}})]),
    Row("a write under one key", WRITE, {"StringEquals": {KEY_ID: "archive"}}, put(ServerSideEncryption="aws:kms", SSEKMSKeyId="archive"), put(ServerSideEncryption="aws:kms", SSEKMSKeyId="photos")),
    Row("a write under one key, by its ARN", WRITE, {"StringEquals": {KEY_ID: "archive"}}, put(ServerSideEncryption="aws:kms", SSEKMSKeyId="arn:aws:kms:::archive"), put(ServerSideEncryption="aws:kms")),
    Row("a write under the client's key", WRITE, {"StringEquals": {"s3:x-amz-server-side-encryption-customer-algorithm": "AES256"}}, put(**CUSTOMER), put()),
    Row("a network", OBJECT, {"IpAddress": {"aws:SourceIp": ["127.0.0.0/8", "::1/128"]}}, get(), get(), {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}),
    Row("not a network", OBJECT, {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, get(), get(), {"NotIpAddress": {"aws:SourceIp": ["127.0.0.0/8", "::1/128"]}}),
    Row("a secure transport", OBJECT, {"Bool": {"aws:SecureTransport": "true"}}, get(), get(), {"Bool": {"aws:SecureTransport": "false"}}),
    Row("a version of TLS", OBJECT, {"NumericGreaterThanEquals": {"s3:TlsVersion": "1.2"}}, get(), get(), {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
    Row("a user agent", OBJECT, {"StringLike": {"aws:UserAgent": "*photo-app/*"}}, get(by=by_app), get()),
    Row("a page that refers", OBJECT, {"StringLike": {"aws:Referer": "https://shop.example/*"}}, get(by=from_page), get()),
    Row("version 4 of the signature", OBJECT, {"StringEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}, get(), get(by=by_version_2)),
    Row("version 2 of the signature", OBJECT, {"StringEquals": {"s3:signatureversion": "AWS"}}, get(by=by_version_2), get()),
    Row("a young signature", OBJECT, {"NumericLessThan": {"s3:signatureAge": "600000"}}, presigned, presigned, {"NumericGreaterThan": {"s3:signatureAge": "600000"}}),
    Row("a signature that has an age", OBJECT, {"NumericLessThan": {"s3:signatureAge": "600000"}}, presigned, get()),
    Row("a signature in the header", OBJECT, {"StringEquals": {"s3:authType": "REST-HEADER"}}, get(), presigned),
    Row("a signature in the query", OBJECT, {"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}, presigned, get()),
    Row("a body in chunks", WRITE, {"StringLike": {"s3:x-amz-content-sha256": "STREAMING-*"}}, put(), put(), {"StringEquals": {"s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"}}),
    Row("a copy's source", WRITE + OBJECT, {}, copy("public/a"), copy("private/a"), more=[("Deny", WRITE, {"StringNotLike": {"s3:x-amz-copy-source": f"/{BUCKET}/public/*"}})]),
    Row("a copy that keeps the metadata", WRITE + OBJECT, {}, copy("a/1", MetadataDirective="COPY"), copy("a/1", MetadataDirective="REPLACE"), more=[("Deny", WRITE, {"StringEquals": {"s3:x-amz-metadata-directive": "REPLACE"}})]),
    Row("a storage class", WRITE, {"StringEquals": {"s3:x-amz-storage-class": "STANDARD"}}, put(StorageClass="STANDARD"), put(StorageClass="REDUCED_REDUNDANCY")),
    Row("an ACL", WRITE + ["s3:PutObjectAcl"], {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}, put(ACL="bucket-owner-full-control"), put(ACL="private")),
    Row("a version that is named", ["s3:GetObjectVersion"], {"StringEquals": {"s3:VersionId": "null"}}, get(VersionId="null"), get(VersionId="3sL4kqtJlcpXroDTDmJ")),
    Row("a write that overwrites nothing", WRITE, {"StringEquals": {"s3:if-none-match": "*"}}, put_once(IfNoneMatch="*"), put_once()),
    Row("a write in one piece", WRITE, {"StringEquals": {"s3:ObjectCreationOperation": "PutObject"}}, put(), lambda: alice.create_multipart_upload(Bucket=BUCKET, Key="large")),
    Row("a user by its name", OBJECT, {"StringEqualsIgnoreCase": {"aws:username": "ALICE"}}, get(), get(), {"StringEquals": {"aws:username": "ALICE"}}, principal="*"),
    Row("a user by its ARN", OBJECT, {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam:::user/al*"}}, get(), get(), {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam:::user/bob"}}, principal="*"),
    Row("whoever has signed", OBJECT, {"StringEquals": {"aws:PrincipalType": "User"}}, get(), get(by=nobody), principal="*"),
    Row("a member of a group", OBJECT, {"ForAnyValue:StringEquals": {"aws:groups": ["staff", "board"]}}, get(), get(), {"ForAnyValue:StringEquals": {"aws:groups": ["board"]}}),
    Row("one's own folder", OBJECT, {}, get("home/alice/x"), get("home/bob/x"), resource="home/${aws:username}/*"),
    Row("until a day", OBJECT, {"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}}, get(), get(), {"DateGreaterThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}}),
    Row("after a second", OBJECT, {"NumericGreaterThan": {"aws:EpochTime": "1700000000"}}, get(), get(), {"NumericLessThan": {"aws:EpochTime": "1700000000"}}),
    Row("a region", OBJECT, {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, get(), get(), {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}),
    Row("all of several conditions", OBJECT, {"Bool": {"aws:SecureTransport": "true"}, "StringLike": {"aws:UserAgent": "*photo-app/*", "aws:username": "ali*"}}, get(by=by_app), get()),
    Row("a key that is absent, if it exists", LIST, {"StringEqualsIfExists": {"s3:delimiter": "/"}}, listed(), listed(Delimiter="-")),
]


def policy(row, condition):
    def statement(effect, actions, condition):
        resources = [f"arn:aws:s3:::{BUCKET}"] if any("List" in action for action in actions) else [f"arn:aws:s3:::{BUCKET}/{row.resource}"]
        made = {"Effect": effect, "Principal": row.principal, "Action": actions, "Resource": resources}
        return {**made, "Condition": condition} if condition else made

    statements = [statement("Allow", row.actions, condition)]
    statements += [statement(*one) for one in row.more]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def code_of(call):
    """The code of a refusal; nothing if it was done."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    except Refused as refused:
        return refused.code
    return None


def check(row):
    root.put_bucket_policy(Bucket=BUCKET, Policy=policy(row, row.condition))
    assert (code := code_of(row.allowed)) is None, f"it isn't allowed: {code}"
    if row.otherwise is not None:
        root.put_bucket_policy(Bucket=BUCKET, Policy=policy(row, row.otherwise))
    assert (code := code_of(row.denied)) == "AccessDenied", f"it isn't denied: {code}"


def main():
    root.create_bucket(Bucket=BUCKET)
    for key in ("a/1", "b/1", "public/a", "private/a", "home/alice/x", "home/bob/x"):
        root.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    # Without a policy nothing is allowed.
    assert code_of(get()) == code_of(put()) == code_of(listed()) == "AccessDenied"
    failed = 0
    for row in ROWS:
        try:
            check(row)
            print(f"passed {row.claim}", flush=True)
        except Exception:  # a row may fail in any way, and the others still count
            failed += 1
            print(f"failed {row.claim}\n{traceback.format_exc()}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
