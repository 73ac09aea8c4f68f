"""What people do with boto3, asserted. Run by `conformance/boto3.rs`, which sets AWS_* and reads one line for each case.

A case is a function whose name begins with `case_`; the rest of the name is its claim. Each gets a fresh bucket.
"""

import base64
import binascii
import hashlib
import io
import json
import os
import ssl
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone

import boto3
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.handlers import validate_bucket_name

from suite import run

MIB = 1024 * 1024
CA = os.environ["AWS_CA_BUNDLE"]


def client(**settings):
    """A client that doesn't retry: the first answer is what is asserted."""
    return boto3.client("s3", config=Config(retries={"total_max_attempts": 1}, **settings))


s3 = client()


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        got = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert got == (code, status), f"expected {code} {status}, got {got}: {error}"
        return error.response
    raise AssertionError(f"expected {code} {status}, but it was done")


def body_of(bucket, key, **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def put_all(bucket, keys, body=b"x"):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=body)


def pages(operation, what, **arguments):
    """All entries of a paginated listing: (keys, common prefixes, pages)."""
    keys, prefixes, count = [], [], 0
    for page in s3.get_paginator(operation).paginate(**arguments):
        count += 1
        keys += [entry["Key"] for entry in page.get(what, [])]
        prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
    return keys, prefixes, count


# -- objects


def case_put_get_head_delete(bucket):
    put = s3.put_object(Bucket=bucket, Key="a", Body=b"hello", ContentType="text/plain")
    assert put["ETag"] == f'"{md5(b"hello")}"'
    got = s3.get_object(Bucket=bucket, Key="a")
    assert got["Body"].read() == b"hello"
    assert (got["ETag"], got["ContentType"], got["ContentLength"]) == (put["ETag"], "text/plain", 5)
    assert abs(datetime.now(timezone.utc) - got["LastModified"]) < timedelta(minutes=1)
    head = s3.head_object(Bucket=bucket, Key="a")
    assert (head["ETag"], head["ContentLength"], head["AcceptRanges"]) == (put["ETag"], 5, "bytes")
    assert s3.delete_object(Bucket=bucket, Key="a")["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="a")
    refused("404", 404, s3.head_object, Bucket=bucket, Key="a")
    # Deleting what isn't there is no error.
    s3.delete_object(Bucket=bucket, Key="a")


def case_sizes_round_trip(bucket):
    # Around the limit of what is kept inline, frames, and parts.
    for size in (0, 1, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 64 * 1024, MIB + 1, 5 * MIB):
        data = os.urandom(size)
        assert s3.put_object(Bucket=bucket, Key="a", Body=data)["ETag"] == f'"{md5(data)}"', size
        assert body_of(bucket, "a") == data, size


def case_overwriting_replaces_everything(bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"1" * 100_000, Metadata={"one": "1"}, ContentType="text/html")
    s3.put_object(Bucket=bucket, Key="a", Body=b"2")
    head = s3.head_object(Bucket=bucket, Key="a")
    assert (head["ContentLength"], head["Metadata"], head["ContentType"]) == (1, {}, "binary/octet-stream")
    assert body_of(bucket, "a") == b"2"


def case_system_and_user_metadata_round_trip(bucket):
    expires = datetime(2037, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    sent = {
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "ContentType": "text/plain; charset=utf-8",
        "Metadata": {"colour": "blue", "x-y_z.1": "a b", "empty": ""},
    }
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", Expires=expires, **sent)
    for answer in (s3.head_object(Bucket=bucket, Key="a"), s3.get_object(Bucket=bucket, Key="a")):
        for name, value in sent.items():
            assert answer[name] == value, (name, answer[name])
        assert answer["ExpiresString"] == "Fri, 02 Jan 2037 03:04:05 GMT", answer["ExpiresString"]


def case_metadata_has_a_limit(bucket):
    s3.put_object(Bucket=bucket, Key="a", Metadata={"a": "x" * 2000})
    refused("MetadataTooLarge", 400, s3.put_object, Bucket=bucket, Key="b", Metadata={"a": "x" * 2048})
    refused("404", 404, s3.head_object, Bucket=bucket, Key="b")


def case_response_headers_can_be_overridden(bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket,
        Key="a",
        ResponseContentType="text/html",
        ResponseContentDisposition="inline",
        ResponseCacheControl="no-store",
        ResponseContentEncoding="br",
        ResponseContentLanguage="fr",
    )
    assert [got[n] for n in ("ContentType", "ContentDisposition", "CacheControl", "ContentEncoding", "ContentLanguage")] == [
        "text/html",
        "inline",
        "no-store",
        "br",
        "fr",
    ]


def case_ranges(bucket):
    for size in (1000, 200_000):
        data = os.urandom(size)
        s3.put_object(Bucket=bucket, Key="a", Body=data)
        for text, first, last in (
            ("bytes=0-0", 0, 0),
            ("bytes=10-19", 10, 19),
            (f"bytes={size - 1}-", size - 1, size - 1),
            ("bytes=-7", size - 7, size - 1),
            (f"bytes=0-{size * 2}", 0, size - 1),
            (f"bytes=-{size * 2}", 0, size - 1),
        ):
            got = s3.get_object(Bucket=bucket, Key="a", Range=text)
            assert got["ResponseMetadata"]["HTTPStatusCode"] == 206, text
            assert got["ContentRange"] == f"bytes {first}-{last}/{size}", (text, got["ContentRange"])
            assert got["Body"].read() == data[first : last + 1], text
            head = s3.head_object(Bucket=bucket, Key="a", Range=text)
            assert head["ContentLength"] == last - first + 1, text
        refused("InvalidRange", 416, s3.get_object, Bucket=bucket, Key="a", Range=f"bytes={size}-")
        # What isn't a range is ignored.
        assert body_of(bucket, "a", Range="lines=1-2") == data


def case_conditional_reads(bucket):
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
    at = s3.head_object(Bucket=bucket, Key="a")["LastModified"]
    before, after = at - timedelta(minutes=5), at + timedelta(seconds=1)
    for condition in (
        {"IfMatch": etag},
        {"IfNoneMatch": '"other"'},
        {"IfModifiedSince": before},
        {"IfUnmodifiedSince": after},
        {"IfMatch": etag, "IfUnmodifiedSince": before},
    ):
        assert body_of(bucket, "a", **condition) == b"x", condition
        s3.head_object(Bucket=bucket, Key="a", **condition)
    refused("PreconditionFailed", 412, s3.get_object, Bucket=bucket, Key="a", IfMatch='"other"')
    refused("PreconditionFailed", 412, s3.get_object, Bucket=bucket, Key="a", IfUnmodifiedSince=before)
    refused("304", 304, s3.get_object, Bucket=bucket, Key="a", IfNoneMatch=etag)
    refused("304", 304, s3.head_object, Bucket=bucket, Key="a", IfNoneMatch="*")
    refused("304", 304, s3.get_object, Bucket=bucket, Key="a", IfModifiedSince=after)
    refused("304", 304, s3.get_object, Bucket=bucket, Key="a", IfNoneMatch=etag, IfModifiedSince=before)


def case_conditional_writes(bucket):
    first = s3.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")["ETag"]
    refused("PreconditionFailed", 412, s3.put_object, Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*")
    refused("PreconditionFailed", 412, s3.put_object, Bucket=bucket, Key="a", Body=b"2", IfMatch='"other"')
    assert body_of(bucket, "a") == b"1"
    s3.put_object(Bucket=bucket, Key="a", Body=b"2", IfMatch=first)
    assert body_of(bucket, "a") == b"2"
    refused("NoSuchKey", 404, s3.put_object, Bucket=bucket, Key="none", Body=b"2", IfMatch=first)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=b"3")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = {"Bucket": bucket, "Key": "a", "UploadId": upload, "MultipartUpload": parts}
    refused("PreconditionFailed", 412, s3.complete_multipart_upload, IfNoneMatch="*", **done)
    assert body_of(bucket, "a") == b"2"
    s3.complete_multipart_upload(**done)
    assert body_of(bucket, "a") == b"3"


def case_only_one_of_many_conditional_writers_wins(bucket):
    outcomes = []

    def write(number):
        try:
            s3.put_object(Bucket=bucket, Key="a", Body=str(number).encode(), IfNoneMatch="*")
            outcomes.append(number)
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"), error

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(outcomes) == 1, outcomes
    assert body_of(bucket, "a") == str(outcomes[0]).encode()


HOSTILE = [
    "a b", "a+b", "a%20b", "a%2Fb", "a%", "ü/ö.txt", "日本/語", "\U0001f600", "a//b", "/a", "a/", "//", ".", "..", "../a",
    "a/../b", "a/./b", "a\\b", "a?b", "a&b=c", "a#b", "a;b", "a:b", "a<b>", "a'b\"c", "a|b", "*", "~", "$HOME", "{}", "[x]",
    "a=b", "a@b", "a,b", "acl", "a?acl", "a^`b", "x" * 1024,
]


def case_hostile_keys_are_exact(bucket):
    for key in HOSTILE:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in HOSTILE:
        assert body_of(bucket, key) == key.encode(), key
        assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key.encode()), key
    for operation in ("list_objects_v2", "list_objects"):
        keys, _, _ = pages(operation, "Contents", Bucket=bucket, PaginationConfig={"PageSize": 7})
        assert keys == sorted(HOSTILE, key=str.encode), operation
    for key in HOSTILE:
        copy = "copy/" + key[:1000]
        s3.copy_object(Bucket=bucket, Key=copy, CopySource={"Bucket": bucket, "Key": key})
        assert body_of(bucket, copy) == key.encode(), key
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in HOSTILE]})
    assert sorted(entry["Key"] for entry in deleted["Deleted"]) == sorted(HOSTILE)
    assert "Errors" not in deleted


def case_control_characters_in_keys_are_listed_exactly(bucket):
    # boto3 asks for encoding-type=url by itself, and decodes.
    keys = ["a\tb", "a\nb", "a\rb", "a\x01b", "a\x7fb", "\ufffe"]
    put_all(bucket, keys)
    listed, _, _ = pages("list_objects_v2", "Contents", Bucket=bucket)
    assert listed == sorted(keys, key=str.encode), listed


def case_a_key_has_a_limit(bucket):
    refused("KeyTooLongError", 400, s3.put_object, Bucket=bucket, Key="x" * 1025, Body=b"")


# -- listings


TREE = ["a/1", "a/2", "a/b/3", "b", "c/4", "c-", "d//5", "é/6"]


def case_list_v2_with_delimiter_and_prefix(bucket):
    put_all(bucket, TREE)
    for prefix, delimiter, keys, prefixes in (
        ("", "/", ["b", "c-"], ["a/", "c/", "d/", "é/"]),
        ("a/", "/", ["a/1", "a/2"], ["a/b/"]),
        ("c", "/", ["c-"], ["c/"]),
        ("d/", "/", [], ["d//"]),
        ("a", "", ["a/1", "a/2", "a/b/3"], []),
        ("", "/b/", ["a/1", "a/2", "b", "c-", "c/4", "d//5", "é/6"], ["a/b/"]),
        ("nothing", "/", [], []),
    ):
        for operation in ("list_objects_v2", "list_objects"):
            for size in (1, 2, 1000):
                got = pages(
                    operation,
                    "Contents",
                    Bucket=bucket,
                    Prefix=prefix,
                    Delimiter=delimiter,
                    PaginationConfig={"PageSize": size},
                )
                assert (got[0], got[1]) == (keys, prefixes), (operation, prefix, delimiter, size, got)


def case_list_v2_counts_and_continues(bucket):
    put_all(bucket, TREE)
    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=3, Delimiter="/")
    assert (first["KeyCount"], first["MaxKeys"], first["IsTruncated"], first["Delimiter"]) == (3, 3, True, "/")
    second = s3.list_objects_v2(
        Bucket=bucket, MaxKeys=3, Delimiter="/", ContinuationToken=first["NextContinuationToken"]
    )
    assert second["ContinuationToken"] == first["NextContinuationToken"]
    assert (second["KeyCount"], second["IsTruncated"]) == (3, False)
    assert "NextContinuationToken" not in second
    none = s3.list_objects_v2(Bucket=bucket, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"]) == (0, False)
    after = s3.list_objects_v2(Bucket=bucket, StartAfter="b")
    assert [entry["Key"] for entry in after["Contents"]] == ["c-", "c/4", "d//5", "é/6"]
    refused("InvalidArgument", 400, s3.list_objects_v2, Bucket=bucket, ContinuationToken="no token of ours")


def case_list_v1_continues_by_marker(bucket):
    put_all(bucket, TREE)
    got = s3.list_objects(Bucket=bucket, Marker="a/2", MaxKeys=2)
    assert [entry["Key"] for entry in got["Contents"]] == ["a/b/3", "b"]
    assert (got["Marker"], got["IsTruncated"]) == ("a/2", True)
    got = s3.list_objects(Bucket=bucket, Delimiter="/", MaxKeys=1)
    assert got["NextMarker"] == "a/", got
    got = s3.list_objects(Bucket=bucket, Delimiter="/", MaxKeys=1, Marker=got["NextMarker"])
    assert [entry["Key"] for entry in got["Contents"]] == ["b"], got


def case_listings_describe_each_object(bucket):
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"hello", ChecksumAlgorithm="SHA256")["ETag"]
    entry = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]
    assert (entry["Size"], entry["ETag"], entry["StorageClass"]) == (5, etag, "STANDARD")
    assert entry["ChecksumAlgorithm"] == ["SHA256"], entry
    assert entry["Owner"]["ID"]
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert s3.list_objects(Bucket=bucket)["Contents"][0]["Owner"]["ID"]


def case_more_than_a_thousand_keys(bucket):
    keys = [f"{number:04}" for number in range(1050)]
    work = list(keys)

    def put():
        own = client()
        while True:
            try:
                own.put_object(Bucket=bucket, Key=work.pop(), Body=b"")
            except IndexError:
                return

    threads = [threading.Thread(target=put) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    listed, _, count = pages("list_objects_v2", "Contents", Bucket=bucket)
    assert (listed, count) == (keys, 2), (len(listed), count)
    too_many = {"Objects": [{"Key": key} for key in keys]}
    refused("MalformedXML", 400, s3.delete_objects, Bucket=bucket, Delete=too_many)
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": too_many["Objects"][:1000], "Quiet": True})
    assert "Deleted" not in quiet and "Errors" not in quiet
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 50


# -- buckets


def case_buckets(bucket):
    names = [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    assert bucket in names and names == sorted(names)
    assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    refused("BucketAlreadyOwnedByYou", 409, s3.create_bucket, Bucket=bucket)
    refused("404", 404, s3.head_bucket, Bucket="no-such-bucket-here")
    refused("NoSuchBucket", 404, s3.list_objects_v2, Bucket="no-such-bucket-here")
    refused("NoSuchBucket", 404, s3.put_object, Bucket="no-such-bucket-here", Key="a", Body=b"")
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    refused("BucketNotEmpty", 409, s3.delete_bucket, Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="a")
    s3.delete_bucket(Bucket=bucket)
    refused("404", 404, s3.head_bucket, Bucket=bucket)
    s3.create_bucket(Bucket=bucket)


def case_buckets_are_listed_in_pages(bucket):
    made = [f"{bucket}-{number}" for number in range(5)]
    for name in made:
        s3.create_bucket(Bucket=name)
    names, token = [], {}
    while True:
        page = s3.list_buckets(Prefix=f"{bucket}-", MaxBuckets=2, **token)
        names += [entry["Name"] for entry in page["Buckets"]]
        if "ContinuationToken" not in page:
            break
        token = {"ContinuationToken": page["ContinuationToken"]}
    assert names == made, names
    for name in made:
        s3.delete_bucket(Bucket=name)


def case_bad_bucket_names_are_refused(bucket):
    # boto3 refuses most of these by itself.
    unchecked = client()
    unchecked.meta.events.unregister("before-parameter-build.s3", validate_bucket_name)
    for name in ("ab", "Upper", "a_b", "a..b", "-ab", "ab-", "192.168.1.1", "a" * 64, "xn--a", "a-s3alias"):
        refused("InvalidBucketName", 400, unchecked.create_bucket, Bucket=name)


def case_unset_configurations_read_as_on_aws(bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"] == []
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]
    assert [grant["Permission"] for grant in s3.get_object_acl(Bucket=bucket, Key="a")["Grants"]] == ["FULL_CONTROL"]
    for code, call in (
        ("NoSuchBucketPolicy", s3.get_bucket_policy),
        ("NoSuchTagSet", s3.get_bucket_tagging),
        ("NoSuchCORSConfiguration", s3.get_bucket_cors),
        ("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration),
        ("ReplicationConfigurationNotFoundError", s3.get_bucket_replication),
        ("ServerSideEncryptionConfigurationNotFoundError", s3.get_bucket_encryption),
        ("ObjectLockConfigurationNotFoundError", s3.get_object_lock_configuration),
        ("NoSuchPublicAccessBlockConfiguration", s3.get_public_access_block),
        ("NoSuchWebsiteConfiguration", s3.get_bucket_website),
    ):
        refused(code, 404, call, Bucket=bucket)


def case_tags_of_a_bucket_round_trip(bucket):
    tags = [{"Key": "team", "Value": "media"}, {"Key": "a/b c:d", "Value": ""}]
    put = s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 204
    got = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert sorted(got, key=lambda tag: tag["Key"]) == sorted(tags, key=lambda tag: tag["Key"]), got
    twice = {"TagSet": [tags[0], tags[0]]}
    refused("InvalidTag", 400, s3.put_bucket_tagging, Bucket=bucket, Tagging=twice)
    assert len(s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) == 2
    assert s3.delete_bucket_tagging(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused("NoSuchTagSet", 404, s3.get_bucket_tagging, Bucket=bucket)


def case_what_is_not_built_is_refused_and_changes_nothing(bucket):
    put = {"Bucket": bucket, "Key": "a", "Body": b"x"}
    for more in (
        {"ServerSideEncryption": "AES256"},
        {"ServerSideEncryption": "aws:kms"},
        {"Tagging": "a=b"},
        {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": datetime(2037, 1, 1)},
        {"GrantRead": 'id="1"'},
        {"WebsiteRedirectLocation": "/b"},
    ):
        answer = refused("NotImplemented", 501, s3.put_object, **put, **more)
        assert len(answer["Error"]["Message"]) > 20, answer
    refused("AccessControlListNotSupported", 400, s3.put_object, ACL="public-read", **put)
    refused("InvalidStorageClass", 400, s3.put_object, StorageClass="GLACIER", **put)
    refused("404", 404, s3.head_object, Bucket=bucket, Key="a")
    refused(
        "NotImplemented", 501, s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    s3.put_object(ACL="private", StorageClass="STANDARD", **put)


def case_a_bucket_policy_opens_a_bucket_to_strangers(bucket):
    put_all(bucket, ["open/a", "closed"])
    stranger = client(signature_version=UNSIGNED)
    refused("AccessDenied", 403, stranger.get_object, Bucket=bucket, Key="open/a")
    policy = {
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "Open",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/open/*",
        }],
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    got = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert got["Statement"][0]["Sid"] == "Open", got
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    assert stranger.get_object(Bucket=bucket, Key="open/a")["Body"].read() == b"x"
    for call, more in (
        (stranger.get_object, {"Key": "closed"}),
        (stranger.get_object, {"Key": "open/missing"}),
        (stranger.put_object, {"Key": "open/b"}),
        (stranger.list_objects_v2, {}),
        (stranger.delete_objects, {"Delete": {"Objects": [{"Key": "open/a"}]}}),
    ):
        try:
            answer = call(Bucket=bucket, **more)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied", error
        else:
            assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"], answer
    for document in ("{}", "no JSON", json.dumps(policy).replace(bucket, "another-bucket")):
        refused("MalformedPolicy", 400, s3.put_bucket_policy, Bucket=bucket, Policy=document)
    s3.delete_bucket_policy(Bucket=bucket)
    refused("AccessDenied", 403, stranger.get_object, Bucket=bucket, Key="open/a")
    refused("NoSuchBucketPolicy", 404, s3.get_bucket_policy, Bucket=bucket)


# -- copies


def case_copies(bucket):
    data = os.urandom(100_000)
    s3.put_object(Bucket=bucket, Key="a", Body=data, Metadata={"one": "1"}, ContentType="text/plain")
    copied = s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    assert copied["CopyObjectResult"]["ETag"] == f'"{md5(data)}"'
    head = s3.head_object(Bucket=bucket, Key="b")
    assert (head["Metadata"], head["ContentType"]) == ({"one": "1"}, "text/plain")
    assert body_of(bucket, "b") == data
    s3.copy_object(
        Bucket=bucket,
        Key="b",
        CopySource=f"{bucket}/a",
        MetadataDirective="REPLACE",
        Metadata={"two": "2"},
        ContentType="text/html",
    )
    head = s3.head_object(Bucket=bucket, Key="b")
    assert (head["Metadata"], head["ContentType"]) == ({"two": "2"}, "text/html")
    # The source may go: the copy stands by itself.
    s3.delete_object(Bucket=bucket, Key="a")
    assert body_of(bucket, "b") == data


def case_a_copy_onto_itself_must_change_something(bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", Metadata={"one": "1"})
    source = {"Bucket": bucket, "Key": "a"}
    refused("InvalidRequest", 400, s3.copy_object, Bucket=bucket, Key="a", CopySource=source)
    s3.copy_object(
        Bucket=bucket, Key="a", CopySource=source, MetadataDirective="REPLACE", Metadata={"two": "2"}
    )
    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == {"two": "2"}
    assert body_of(bucket, "a") == b"x"


def case_conditional_copies(bucket):
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
    source = {"CopySource": {"Bucket": bucket, "Key": "a"}}
    s3.copy_object(Bucket=bucket, Key="b", CopySourceIfMatch=etag, **source)
    refused("PreconditionFailed", 412, s3.copy_object, Bucket=bucket, Key="c", CopySourceIfNoneMatch=etag, **source)
    refused("PreconditionFailed", 412, s3.copy_object, Bucket=bucket, Key="c", CopySourceIfMatch='"o"', **source)
    refused("NoSuchKey", 404, s3.copy_object, Bucket=bucket, Key="c", CopySource=f"{bucket}/none")
    refused("NoSuchBucket", 404, s3.copy_object, Bucket=bucket, Key="c", CopySource="no-such-bucket-here/a")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 2


# -- multipart


def start(bucket, key, **more):
    return s3.create_multipart_upload(Bucket=bucket, Key=key, **more)["UploadId"]


def complete(bucket, key, upload, etags, **more):
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in etags]
    return s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more
    )


def case_multipart(bucket):
    data = [os.urandom(5 * MIB), os.urandom(5 * MIB + 3), b"end"]
    upload = start(bucket, "a", ContentType="text/plain", Metadata={"one": "1"})
    etags = []
    # In any order, with gaps.
    for number, part in ((9, data[2]), (2, data[0]), (5, data[1])):
        answer = s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=number, Body=part)
        assert answer["ETag"] == f'"{md5(part)}"'
        etags.append((number, answer["ETag"]))
    refused("404", 404, s3.head_object, Bucket=bucket, Key="a")
    done = complete(bucket, "a", upload, sorted(etags))
    digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in data)
    assert done["ETag"] == f'"{md5(digests)}-3"'
    head = s3.head_object(Bucket=bucket, Key="a")
    assert (head["ContentType"], head["Metadata"], head["ETag"]) == ("text/plain", {"one": "1"}, done["ETag"])
    whole = b"".join(data)
    assert body_of(bucket, "a") == whole
    edge = 5 * MIB
    assert body_of(bucket, "a", Range=f"bytes={edge - 2}-{edge + 1}") == whole[edge - 2 : edge + 2]
    part = s3.get_object(Bucket=bucket, Key="a", PartNumber=2)
    assert (part["PartsCount"], part["Body"].read()) == (3, data[1])
    assert s3.head_object(Bucket=bucket, Key="a", PartNumber=3)["ContentLength"] == 3
    refused("NoSuchUpload", 404, s3.list_parts, Bucket=bucket, Key="a", UploadId=upload)


def case_a_part_sent_again_replaces_the_first(bucket):
    upload = start(bucket, "a")
    for body in (b"first", b"second"):
        etag = s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=body)["ETag"]
    complete(bucket, "a", upload, [(1, etag)])
    assert body_of(bucket, "a") == b"second"


def case_multipart_faults(bucket):
    upload = start(bucket, "a")
    etag = s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=b"1")["ETag"]
    last = s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=2, Body=b"2")["ETag"]

    def finish(etags):
        complete(bucket, "a", upload, etags)

    refused("InvalidPart", 400, finish, etags=[(1, '"%s"' % ("0" * 32))])
    refused("InvalidPart", 400, finish, etags=[(1, etag), (3, last)])
    refused("InvalidPartOrder", 400, finish, etags=[(2, last), (1, etag)])
    refused("EntityTooSmall", 400, finish, etags=[(1, etag), (2, last)])
    refused("NoSuchUpload", 404, s3.upload_part, Bucket=bucket, Key="a", UploadId="none", PartNumber=1, Body=b"")
    refused("NoSuchUpload", 404, s3.upload_part, Bucket=bucket, Key="b", UploadId=upload, PartNumber=1, Body=b"")
    for number in (0, 10_001):
        refused(
            "InvalidArgument", 400, s3.upload_part, Bucket=bucket, Key="a", UploadId=upload, PartNumber=number, Body=b""
        )
    # None of this ended the upload.
    complete(bucket, "a", upload, [(1, etag)])
    assert body_of(bucket, "a") == b"1"


def case_abort_forgets_the_parts(bucket):
    upload = start(bucket, "a")
    s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=b"1" * 100_000)
    s3.abort_multipart_upload(Bucket=bucket, Key="a", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    refused("NoSuchUpload", 404, s3.list_parts, Bucket=bucket, Key="a", UploadId=upload)
    refused("NoSuchUpload", 404, s3.abort_multipart_upload, Bucket=bucket, Key="a", UploadId=upload)
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)


def case_parts_are_listed_in_pages(bucket):
    upload = start(bucket, "a")
    for number in (1, 2, 7):
        s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=number, Body=b"x" * number)
    first = s3.list_parts(Bucket=bucket, Key="a", UploadId=upload, MaxParts=2)
    assert [(part["PartNumber"], part["Size"]) for part in first["Parts"]] == [(1, 1), (2, 2)]
    assert (first["IsTruncated"], first["NextPartNumberMarker"]) == (True, 2)
    rest = s3.list_parts(Bucket=bucket, Key="a", UploadId=upload, PartNumberMarker=2)
    assert [part["PartNumber"] for part in rest["Parts"]] == [7] and not rest["IsTruncated"]
    s3.abort_multipart_upload(Bucket=bucket, Key="a", UploadId=upload)


def case_uploads_are_listed_in_pages(bucket):
    begun = {key: start(bucket, key) for key in ("a/1", "a/2", "b", "c d")}
    second = start(bucket, "b")
    found, markers = [], {}
    while True:
        page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=2, **markers)
        found += [(entry["Key"], entry["UploadId"]) for entry in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert sorted(found) == sorted([*begun.items(), ("b", second)]), found
    assert [key for key, _ in found] == sorted(key for key, _ in found)
    page = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["a/"]
    page = s3.list_multipart_uploads(Bucket=bucket, Prefix="c")
    assert [entry["Key"] for entry in page["Uploads"]] == ["c d"]
    for key, upload in found:
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)


def case_parts_are_copied(bucket):
    data = os.urandom(6 * MIB)
    s3.put_object(Bucket=bucket, Key="source key", Body=data)
    upload = start(bucket, "a")
    source = {"Bucket": bucket, "Key": "source key"}
    here = {"Bucket": bucket, "Key": "a", "UploadId": upload, "CopySource": source}
    first = s3.upload_part_copy(PartNumber=1, **here)["CopyPartResult"]["ETag"]
    second = s3.upload_part_copy(PartNumber=2, CopySourceRange="bytes=10-19", **here)["CopyPartResult"]["ETag"]
    assert (first, second) == (f'"{md5(data)}"', f'"{md5(data[10:20])}"')
    for bad in (f"bytes=0-{6 * MIB}", "bytes=5-", "bytes=9-8"):
        refused_any((400, 416), s3.upload_part_copy, PartNumber=3, CopySourceRange=bad, **here)
    refused("PreconditionFailed", 412, s3.upload_part_copy, PartNumber=3, CopySourceIfMatch='"o"', **here)
    complete(bucket, "a", upload, [(1, first), (2, second)])
    assert body_of(bucket, "a") == data + data[10:20]


def refused_any(statuses, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status in statuses, error
        return
    raise AssertionError(f"expected one of {statuses}, but it was done")


def case_managed_transfers(bucket):
    data = os.urandom(20 * MIB + 17)
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(data), bucket, "big", Config=config, ExtraArgs={"ContentType": "text/plain"})
    into = io.BytesIO()
    s3.download_fileobj(bucket, "big", into, Config=config)
    assert into.getvalue() == data
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-5"')
    s3.copy({"Bucket": bucket, "Key": "big"}, bucket, "copied", Config=config)
    assert body_of(bucket, "copied") == data


# -- checksums


ALGORITHMS = {
    # name → (value of b"123456789" by the algorithm's published check value, kind of a multipart object's)
    "CRC32": (bytes.fromhex("cbf43926"), "COMPOSITE"),
    "CRC32C": (bytes.fromhex("e3069283"), "COMPOSITE"),
    "CRC64NVME": (bytes.fromhex("ae8b14860a799888"), "FULL_OBJECT"),
    "SHA1": (hashlib.sha1(b"123456789", usedforsecurity=False).digest(), "COMPOSITE"),
    "SHA256": (hashlib.sha256(b"123456789").digest(), "COMPOSITE"),
}


def case_each_checksum_by_trailer_and_by_header(bucket):
    for name, (value, _) in ALGORITHMS.items():
        expected = base64.b64encode(value).decode()
        field = "Checksum" + name
        # By trailer: boto3 streams a body of unknown hash over TLS so.
        put = s3.put_object(Bucket=bucket, Key="t", Body=io.BytesIO(b"123456789"), ChecksumAlgorithm=name)
        assert put[field] == expected, (name, put)
        put = s3.put_object(Bucket=bucket, Key=name, Body=b"123456789", **{field: expected})
        assert (put[field], put["ChecksumType"]) == (expected, "FULL_OBJECT"), (name, put)
        head = s3.head_object(Bucket=bucket, Key=name, ChecksumMode="ENABLED")
        assert head[field] == expected, (name, head)
        assert field not in s3.head_object(Bucket=bucket, Key=name), name
        wrong = base64.b64encode(bytes(len(value))).decode()
        refused("BadDigest", 400, s3.put_object, Bucket=bucket, Key="w", Body=b"123456789", **{field: wrong})
        refused("InvalidRequest", 400, s3.put_object, Bucket=bucket, Key="w", Body=b"1", **{field: "!"})
    refused("404", 404, s3.head_object, Bucket=bucket, Key="w")


def case_a_large_body_is_verified_by_its_trailer(bucket):
    data = os.urandom(3 * MIB + 1)
    put = s3.put_object(Bucket=bucket, Key="a", Body=io.BytesIO(data), ChecksumAlgorithm="SHA256")
    assert put["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(data).digest()).decode()
    # boto3 verifies what it reads by the stored checksum, and would raise.
    assert body_of(bucket, "a", ChecksumMode="ENABLED") == data


def case_a_signed_body_is_verified_by_its_hash(bucket):
    signed = client(s3={"payload_signing_enabled": True})
    data = os.urandom(300_000)
    signed.put_object(Bucket=bucket, Key="a", Body=data)
    assert body_of(bucket, "a") == data


def case_content_md5(bucket):
    good = base64.b64encode(hashlib.md5(b"x", usedforsecurity=False).digest()).decode()
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", ContentMD5=good)
    refused("BadDigest", 400, s3.put_object, Bucket=bucket, Key="a", Body=b"y", ContentMD5=good)
    refused("InvalidDigest", 400, s3.put_object, Bucket=bucket, Key="a", Body=b"x", ContentMD5="!")
    assert body_of(bucket, "a") == b"x"


def case_multipart_checksums(bucket):
    parts = [os.urandom(5 * MIB), b"end"]
    for name, (_, kind) in ALGORITHMS.items():
        upload = start(bucket, name, ChecksumAlgorithm=name)
        listed = []
        for number, part in enumerate(parts, 1):
            answer = s3.upload_part(
                Bucket=bucket, Key=name, UploadId=upload, PartNumber=number, Body=part, ChecksumAlgorithm=name
            )
            field = "Checksum" + name
            listed.append({"PartNumber": number, "ETag": answer["ETag"], field: answer[field]})
        seen = s3.list_parts(Bucket=bucket, Key=name, UploadId=upload)
        assert (seen["ChecksumAlgorithm"], seen["ChecksumType"]) == (name, kind), seen
        assert [part[field] for part in seen["Parts"]] == [part[field] for part in listed]
        done = s3.complete_multipart_upload(
            Bucket=bucket, Key=name, UploadId=upload, MultipartUpload={"Parts": listed}
        )
        assert done["ChecksumType"] == kind, (name, done)
        if name == "SHA256":
            digests = b"".join(hashlib.sha256(part).digest() for part in parts)
            composite = base64.b64encode(hashlib.sha256(digests).digest()).decode() + "-2"
            assert done["ChecksumSHA256"] == composite, done
        assert body_of(bucket, name, ChecksumMode="ENABLED") == b"".join(parts)
        # A part goes with its own, by which boto3 checks what it reads.
        part = s3.get_object(Bucket=bucket, Key=name, PartNumber=2, ChecksumMode="ENABLED")
        assert (part["Body"].read(), part[field]) == (parts[1], listed[1][field]), (name, part)


def case_full_object_checksum_of_a_multipart_upload(bucket):
    parts = [os.urandom(5 * MIB), b"end"]
    whole = base64.b64encode(binascii.crc32(b"".join(parts)).to_bytes(4, "big")).decode()
    for claimed, code in (("AAAAAA==", "BadDigest"), (whole, None)):
        upload = start(bucket, "a", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
        etags = []
        for number, part in enumerate(parts, 1):
            answer = s3.upload_part(
                Bucket=bucket, Key="a", UploadId=upload, PartNumber=number, Body=part, ChecksumAlgorithm="CRC32"
            )
            etags.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": answer["ChecksumCRC32"]})
        done = {
            "Bucket": bucket,
            "Key": "a",
            "UploadId": upload,
            "MultipartUpload": {"Parts": etags},
            "ChecksumType": "FULL_OBJECT",
            "ChecksumCRC32": claimed,
        }
        if code:
            refused(code, 400, s3.complete_multipart_upload, **done)
            refused("404", 404, s3.head_object, Bucket=bucket, Key="a")
            s3.abort_multipart_upload(Bucket=bucket, Key="a", UploadId=upload)
        else:
            answer = s3.complete_multipart_upload(**done)
            assert (answer["ChecksumCRC32"], answer["ChecksumType"]) == (whole, "FULL_OBJECT")


def case_attributes(bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"123456789", ChecksumAlgorithm="SHA256")
    wanted = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    got = s3.get_object_attributes(Bucket=bucket, Key="a", ObjectAttributes=wanted)
    assert (got["ETag"], got["ObjectSize"], got["StorageClass"]) == (md5(b"123456789"), 9, "STANDARD")
    assert got["Checksum"]["ChecksumSHA256"] == base64.b64encode(ALGORITHMS["SHA256"][0]).decode()
    assert "ObjectParts" not in got
    upload = start(bucket, "m", ChecksumAlgorithm="SHA256")
    listed = []
    for number, part in ((1, b"1" * 5 * MIB), (2, b"2")):
        answer = s3.upload_part(
            Bucket=bucket, Key="m", UploadId=upload, PartNumber=number, Body=part, ChecksumAlgorithm="SHA256"
        )
        listed.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": answer["ChecksumSHA256"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": listed})
    got = s3.get_object_attributes(Bucket=bucket, Key="m", ObjectAttributes=wanted)
    assert got["ObjectParts"]["TotalPartsCount"] == 2
    assert [part["Size"] for part in got["ObjectParts"]["Parts"]] == [5 * MIB, 1]
    only = s3.get_object_attributes(Bucket=bucket, Key="m", ObjectAttributes=["ObjectSize"])
    assert only["ObjectSize"] == 5 * MIB + 1 and "ETag" not in only
    refused("NoSuchKey", 404, s3.get_object_attributes, Bucket=bucket, Key="none", ObjectAttributes=["ETag"])


# -- presigned URLs and addressing


def presigned(operation, of=None, expires=300, **arguments):
    return (of or s3).generate_presigned_url(operation, Params=arguments, ExpiresIn=expires)


def raw(method, path, url, data=None, headers=None, own_path=False):
    """An HTTP request without any SDK; `path` replaces the URL's where asked."""
    if own_path:
        parts = urllib.parse.urlsplit(url)
        url = urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    context = ssl.create_default_context(cafile=CA)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def case_presigned_urls(bucket):
    version4 = client(signature_version="s3v4")
    key = "a b/ü+%.txt"
    url = presigned("put_object", version4, Bucket=bucket, Key=key)
    assert raw("PUT", None, url, b"hello")[0] == 200
    url = presigned("get_object", version4, Bucket=bucket, Key=key)
    assert raw("GET", None, url) == (200, b"hello")
    assert raw("GET", None, url, headers={"Range": "bytes=1-2"}) == (206, b"el")
    # It is for this method and key alone.
    assert raw("DELETE", None, url)[0] == 403
    assert raw("GET", f"/{bucket}/other", url, own_path=True)[0] == 403
    assert raw("GET", None, url + "&x-id=Other")[0] == 403
    url = presigned("get_object", version4, Bucket=bucket, Key=key, ResponseContentType="text/html")
    assert raw("GET", None, url)[0] == 200
    url = presigned("head_object", version4, Bucket=bucket, Key=key)
    assert raw("HEAD", None, url)[0] == 200
    url = presigned("delete_object", version4, Bucket=bucket, Key=key)
    assert raw("DELETE", None, url)[0] == 204
    url = presigned("put_object", version4, Bucket=bucket, Key="t", ContentType="text/plain")
    assert raw("PUT", None, url, b"x", {"Content-Type": "text/html"})[0] == 403
    assert raw("PUT", None, url, b"x", {"Content-Type": "text/plain"})[0] == 200


def case_presigned_urls_have_an_end(bucket):
    version4 = client(signature_version="s3v4")
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    url = presigned("get_object", version4, Bucket=bucket, Key="a", expires=1)
    assert raw("GET", None, url)[0] == 200
    threading.Event().wait(2.5)
    status, text = raw("GET", None, url)
    assert status == 403 and b"AccessDenied" in text, (status, text)
    url = presigned("get_object", version4, Bucket=bucket, Key="a", expires=604_801)
    assert raw("GET", None, url)[0] in (400, 403)


def case_virtual_host_addressing(bucket):
    # `s3.localhost` is a domain of the test's server.
    endpoint = os.environ["AWS_ENDPOINT_URL"].replace("localhost", "s3.localhost")

    def virtually(**settings):
        config = Config(s3={"addressing_style": "virtual"}, **settings)
        return boto3.client("s3", endpoint_url=endpoint, config=config)

    virtual = virtually()
    seen = []
    virtual.meta.events.register("before-send.s3", lambda request, **_: seen.append(request.url))
    for key in ("a", "a b/ü", "..", "//x"):
        virtual.put_object(Bucket=bucket, Key=key, Body=key.encode())
        assert body_of(bucket, key) == key.encode(), key
        assert virtual.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode(), key
    assert virtual.list_objects_v2(Bucket=bucket)["KeyCount"] == 4
    assert all(url.startswith(f"https://{bucket}.s3.localhost:") for url in seen), seen
    url = presigned("get_object", virtually(signature_version="s3v4"), Bucket=bucket, Key="a")
    assert raw("GET", None, url) == (200, b"a")


# -- who may


def case_wrong_credentials_are_refused(bucket):
    for code, key, secret in (
        ("InvalidAccessKeyId", "unknownaccesskey", "secretsecret"),
        ("SignatureDoesNotMatch", os.environ["AWS_ACCESS_KEY_ID"], "wrong-secret"),
    ):
        stranger = boto3.client("s3", aws_access_key_id=key, aws_secret_access_key=secret)
        refused(code, 403, stranger.list_buckets)
        refused(code, 403, stranger.put_object, Bucket=bucket, Key="a", Body=b"x")

    nobody = boto3.client("s3", config=Config(signature_version=UNSIGNED))
    refused("AccessDenied", 403, nobody.list_objects_v2, Bucket=bucket)
    refused("AccessDenied", 403, nobody.get_object, Bucket=bucket, Key="a")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def case_another_region_is_told_which_is_right(bucket):
    other = boto3.client("s3", region_name="eu-west-3", config=Config(retries={"total_max_attempts": 1}))
    answer = refused("AuthorizationHeaderMalformed", 400, other.list_buckets)
    assert answer["Error"].get("Region") == REGION, answer
    # For a bucket, boto3 corrects itself by that.
    assert other.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def case_every_error_names_its_request(bucket):
    answer = refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="none")
    assert answer["Error"]["Resource"] == f"/{bucket}/none", answer
    assert answer["ResponseMetadata"]["RequestId"] and answer["ResponseMetadata"]["HostId"], answer


REGION = os.environ["AWS_REGION"]


if __name__ == "__main__":
    sys.exit(run(globals(), s3, "boto3"))
