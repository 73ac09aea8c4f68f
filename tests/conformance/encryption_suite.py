"""Encryption at rest by boto3, asserted. Run by `conformance/encryption.rs`, on a server with the keys `photos` (the default) and `archive`.

A case is a function whose name begins with `case_`; the rest of the name is its claim. Each gets a fresh bucket.
"""

import base64
import hashlib
import io
import json
import os
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from suite import run

MIB = 1024 * 1024
s3 = boto3.client("s3", config=Config(retries={"total_max_attempts": 1}))

OWN = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
OTHER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"o" * 32}
CONTEXT = base64.b64encode(json.dumps({"project": "x"}).encode()).decode()
# Name, what a write says, what a read says, what an answer says.
FORMS = (
    ("plain", {}, {}, (None, None)),
    ("s3", {"ServerSideEncryption": "AES256"}, {}, ("AES256", None)),
    ("kms", {"ServerSideEncryption": "aws:kms"}, {}, ("aws:kms", "photos")),
    (
        "key",
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "archive", "SSEKMSEncryptionContext": CONTEXT, "BucketKeyEnabled": True},
        {},
        ("aws:kms", "archive"),
    ),
    ("own", OWN, OWN, (None, None)),
)


def source_key(reads):
    return {f"CopySource{name}": value for name, value in reads.items()}


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        got = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert got == (code, status), f"expected {code} {status}, got {got}: {error}"
        return
    raise AssertionError(f"expected {code} {status}, but it was done")


def assert_told(answer, told, reads):
    algorithm, key = told
    assert answer.get("ServerSideEncryption") == algorithm, answer
    assert (answer.get("SSEKMSKeyId") or "").rpartition(":")[2] == (key or ""), answer
    if reads:
        digest = base64.b64encode(hashlib.md5(reads["SSECustomerKey"]).digest()).decode()
        assert (answer["SSECustomerAlgorithm"], answer["SSECustomerKeyMD5"]) == ("AES256", digest), answer
    else:
        assert "SSECustomerAlgorithm" not in answer, answer


def md5(data):
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def case_put_get_head_in_every_form(bucket):
    for name, writes, reads, told in FORMS:
        for size in (0, 5, 32 * 1024, 64 * 1024 + 1, MIB + 1):
            data = os.urandom(size)
            put = s3.put_object(Bucket=bucket, Key=name, Body=data, Metadata={"a": "b"}, **writes)
            assert_told(put, told, reads)
            got = s3.get_object(Bucket=bucket, Key=name, ChecksumMode="ENABLED", **reads)
            assert got["Body"].read() == data, (name, size)
            assert_told(got, told, reads)
            head = s3.head_object(Bucket=bucket, Key=name, **reads)
            assert_told(head, told, reads)
            assert (head["ContentLength"], head["ETag"], head["Metadata"]) == (size, put["ETag"], {"a": "b"})
            assert (put["ETag"] == md5(data)) == (name in ("plain", "s3")), (name, put["ETag"])
            assert got["ChecksumCRC32"] == put["ChecksumCRC32"]
    listed = {entry["Key"]: entry["Size"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert listed == {name: MIB + 1 for name, _, _, _ in FORMS}, listed


def case_ranges_in_every_form(bucket):
    data = os.urandom(300_000)
    for name, writes, reads, _ in FORMS:
        s3.put_object(Bucket=bucket, Key=name, Body=data, **writes)
        for header, expected in (
            ("bytes=0-0", data[:1]),
            ("bytes=65535-65536", data[65535:65537]),
            ("bytes=100000-", data[100000:]),
            ("bytes=-7", data[-7:]),
            ("bytes=1-299998", data[1:299999]),
        ):
            got = s3.get_object(Bucket=bucket, Key=name, Range=header, **reads)
            assert got["Body"].read() == expected, (name, header)
            assert got["ContentLength"] == len(expected)


def case_copies_between_all_forms(bucket):
    data = os.urandom(100_000)
    for name, writes, reads, _ in FORMS:
        s3.put_object(Bucket=bucket, Key="from", Body=data, **writes)
        for _, to_writes, to_reads, to_told in FORMS:
            source = {"Bucket": bucket, "Key": "from"}
            copied = s3.copy_object(Bucket=bucket, Key="to", CopySource=source, **source_key(reads), **to_writes)
            assert_told(copied, to_told, to_reads)
            got = s3.get_object(Bucket=bucket, Key="to", **to_reads)
            assert got["Body"].read() == data, name
    source = {"Bucket": bucket, "Key": "to"}
    # The last was SSE-C: its key is changed by copying it onto itself.
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source, **source_key(OWN), **OTHER)
    assert s3.get_object(Bucket=bucket, Key="to", **OTHER)["Body"].read() == data
    refused("AccessDenied", 403, s3.get_object, Bucket=bucket, Key="to", **OWN)


def case_multipart_in_every_form(bucket):
    parts = [os.urandom(5 * MIB), os.urandom(5 * MIB + 12345), os.urandom(100)]
    whole = b"".join(parts)
    s3.put_object(Bucket=bucket, Key="source", Body=parts[1], **OTHER)
    for name, writes, reads, told in FORMS:
        for completes in (reads, {}):
            begun = s3.create_multipart_upload(Bucket=bucket, Key=name, **writes)
            assert_told(begun, told, reads)
            upload = {"Bucket": bucket, "Key": name, "UploadId": begun["UploadId"]}
            one = s3.upload_part(PartNumber=1, Body=parts[0], **upload, **reads)
            source = {"Bucket": bucket, "Key": "source"}
            two = s3.upload_part_copy(PartNumber=2, CopySource=source, **source_key(OTHER), **upload, **reads)
            three = s3.upload_part(PartNumber=3, Body=parts[2], **upload, **reads)
            tags = (one["ETag"], two["CopyPartResult"]["ETag"], three["ETag"])
            listed = s3.list_parts(**upload)["Parts"]
            assert [part["Size"] for part in listed] == [len(part) for part in parts]
            named = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
            s3.complete_multipart_upload(MultipartUpload={"Parts": named}, **upload, **completes)
            got = s3.get_object(Bucket=bucket, Key=name, **reads)
            assert got["Body"].read() == whole, name
            assert got["ETag"].endswith('-3"')
            assert_told(got, told, reads)
            part = s3.get_object(Bucket=bucket, Key=name, PartNumber=2, **reads)
            assert part["Body"].read() == parts[1], name
            start = 5 * MIB - 10
            ranged = s3.get_object(Bucket=bucket, Key=name, Range=f"bytes={start}-{start + 99}", **reads)
            assert ranged["Body"].read() == whole[start : start + 100], name


def case_managed_transfers_in_every_form(bucket):
    data = os.urandom(20 * MIB + 1)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    for name, writes, reads, _ in FORMS:
        extra = {key: value for key, value in writes.items() if key != "BucketKeyEnabled"}
        s3.upload_fileobj(io.BytesIO(data), bucket, name, ExtraArgs=extra, Config=config)
        back = io.BytesIO()
        s3.download_fileobj(bucket, name, back, ExtraArgs=dict(reads) or None, Config=config)
        assert back.getvalue() == data, name


def case_attributes(bucket):
    for name, writes, reads, _ in FORMS:
        s3.put_object(Bucket=bucket, Key=name, Body=b"hello", **writes)
        if reads:
            # For this operation alone boto3 leaves it to its caller.
            key = reads["SSECustomerKey"]
            digest = base64.b64encode(hashlib.md5(key).digest()).decode()
            reads = {**reads, "SSECustomerKey": base64.b64encode(key).decode(), "SSECustomerKeyMD5": digest}
        told = s3.get_object_attributes(Bucket=bucket, Key=name, ObjectAttributes=["ObjectSize", "ETag"], **reads)
        assert told["ObjectSize"] == 5, name


def case_a_buckets_default(bucket):
    def default(algorithm, **more):
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, **more}, "BucketKeyEnabled": True}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})

    refused("ServerSideEncryptionConfigurationNotFoundError", 404, s3.get_bucket_encryption, Bucket=bucket)
    default("AES256")
    assert s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ServerSideEncryption"] == "AES256"
    default("aws:kms", KMSMasterKeyID="archive")
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    by_default = rule["ApplyServerSideEncryptionByDefault"]
    assert by_default["SSEAlgorithm"] == "aws:kms" and by_default["KMSMasterKeyID"].endswith("archive"), rule
    assert rule["BucketKeyEnabled"] is True
    assert s3.put_object(Bucket=bucket, Key="b", Body=b"x")["SSEKMSKeyId"].endswith("archive")
    # What a write says wins.
    assert s3.put_object(Bucket=bucket, Key="c", Body=b"x", ServerSideEncryption="AES256")["ServerSideEncryption"] == "AES256"
    assert "ServerSideEncryption" not in s3.put_object(Bucket=bucket, Key="d", Body=b"x", **OWN)
    refused(
        "KMS.NotFoundException", 400, default, algorithm="aws:kms", KMSMasterKeyID="nobody"
    )
    s3.delete_bucket_encryption(Bucket=bucket)
    assert "ServerSideEncryption" not in s3.put_object(Bucket=bucket, Key="e", Body=b"x")
    for key in "abc":
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


def case_refusals(bucket):
    s3.put_object(Bucket=bucket, Key="own", Body=b"x", **OWN)
    s3.put_object(Bucket=bucket, Key="s3", Body=b"x", ServerSideEncryption="AES256")
    put = {"Bucket": bucket, "Key": "new", "Body": b"x"}
    refused("InvalidRequest", 400, s3.get_object, Bucket=bucket, Key="own")
    refused("AccessDenied", 403, s3.get_object, Bucket=bucket, Key="own", **OTHER)
    refused("400", 400, s3.head_object, Bucket=bucket, Key="own")
    refused("403", 403, s3.head_object, Bucket=bucket, Key="own", **OTHER)
    refused("InvalidRequest", 400, s3.get_object, Bucket=bucket, Key="s3", **OWN)
    refused("InvalidArgument", 400, s3.put_object, ServerSideEncryption="AES256", **put, **OWN)
    refused("InvalidArgument", 400, s3.put_object, SSEKMSKeyId="archive", **put)
    refused("KMS.NotFoundException", 400, s3.put_object, ServerSideEncryption="aws:kms", SSEKMSKeyId="nobody", **put)
    refused("InvalidEncryptionAlgorithmError", 400, s3.put_object, SSECustomerAlgorithm="AES128", SSECustomerKey=b"k" * 32, **put)
    refused("InvalidArgument", 400, s3.put_object, SSECustomerAlgorithm="AES256", SSECustomerKey=b"short", **put)
    begun = s3.create_multipart_upload(Bucket=bucket, Key="new", **OWN)
    part = {"Bucket": bucket, "Key": "new", "UploadId": begun["UploadId"], "PartNumber": 1, "Body": b"x"}
    refused("InvalidRequest", 400, s3.upload_part, **part)
    refused("InvalidRequest", 400, s3.upload_part, **part, **OTHER)
    refused("404", 404, s3.head_object, Bucket=bucket, Key="new")


def case_presigned_urls(bucket):
    import ssl
    import urllib.request

    context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    s3.put_object(Bucket=bucket, Key="s3", Body=b"hello", ServerSideEncryption="aws:kms")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "s3"})
    with urllib.request.urlopen(url, context=context) as answer:
        assert answer.read() == b"hello"
        assert answer.headers["x-amz-server-side-encryption"] == "aws:kms"


if __name__ == "__main__":
    sys.exit(run(globals(), s3, "encrypted"))
