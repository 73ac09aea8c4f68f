"""make.py: computes the vectors of this folder from the documentation of coffer-sse, with another implementation of its
algorithms (Python's hmac and the package `cryptography`, 44 or later). Their inputs are counting bytes."""
import hashlib, hmac, pathlib
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

here = pathlib.Path(__file__).parent


def count(start, length):
    return bytes((start + i) % 256 for i in range(length))


def hkdf(salt, key, info, length):
    prk = hmac.digest(salt or bytes(32), key, "sha256")
    out, block, n = b"", b"", 0
    while len(out) < length:
        n += 1
        block = hmac.digest(prk, block + info + bytes([n]), "sha256")
        out += block
    return out[:length]


def text(data):
    return len(data).to_bytes(4, "big") + data


def envelope(salt, upper, domain, associated, plain):
    okm = hkdf(salt, upper, domain + associated, 64)
    return salt + okm[32:] + AESGCM(okm[:32]).encrypt(bytes(12), plain, associated)


def record(mode, detail, content, upper, place):
    head = bytes([1, mode, 1]) + detail + content
    tenant, bucket, key, kind, ident = place
    associated = text(tenant) + text(bucket) + text(key) + kind + text(ident) + text(b"AES-256-GCM/frames-64K") + head
    body = head + envelope(count(0x40, 32), upper, b"coffer/sse/object-key/1", associated, OBJECT_KEY)
    return body + hashlib.sha256(body).digest()[:8]


def part_key(number, ident):
    return hkdf(b"", OBJECT_KEY, b"coffer/sse/part-key/1" + number.to_bytes(4, "big") + ident, 32)


def frames(key, plain):
    cut = [plain[i : i + 65536] for i in range(0, len(plain), 65536)] or [b""]
    return b"".join(
        AESGCM(key).encrypt(bytes(4) + n.to_bytes(8, "big"), frame, bytes([n == len(cut) - 1])) for n, frame in enumerate(cut)
    )


def write(name, **fields):
    lines = [f"{field} {value.hex() if isinstance(value, bytes) else value}\n" for field, value in fields.items()]
    (here / f"{name}.txt").write_text("".join(lines))


OBJECT_KEY, BUCKET_KEY, CUSTOMER_KEY, PART_ID = count(0, 32), count(0x80, 32), count(0xA0, 32), count(0x70, 16)
write("envelope", upper=BUCKET_KEY, salt=count(0x40, 32), domain="domain", associated=b"associated", plain=OBJECT_KEY,
      sealed=envelope(count(0x40, 32), BUCKET_KEY, b"domain", b"associated", OBJECT_KEY))

check_salt = count(0x20, 32)
check = hkdf(check_salt, CUSTOMER_KEY, b"coffer/sse/customer-check/1", 32)
write("customer_check", key=CUSTOMER_KEY, salt=check_salt, value=check)

tag_key = hkdf(b"", OBJECT_KEY, b"coffer/sse/parts-tag/1", 32)
parts = [(1, PART_ID, 5 << 20), (7, count(0x71, 16), 1)]
tag = hmac.digest(tag_key, b"".join(n.to_bytes(4, "big") + i + length.to_bytes(8, "big") for n, i, length in parts), "sha256")
write("parts_tag", object_key=OBJECT_KEY, first_id=parts[0][1], second_id=parts[1][1], tag=tag)

version, upload = (b"acme", b"photos", "größe/1".encode(), b"V", b"null"), (b"acme", b"photos", "größe/1".encode(), b"U", b"u-1")
sealed = text(b"coffer-1") + text(b"sealed by the KMS")
write("record_s3_whole", upper=BUCKET_KEY, record=record(1, sealed + text(b""), b"\1" + PART_ID, BUCKET_KEY, version))
write("record_kms_upload", upper=BUCKET_KEY, record=record(2, sealed + text(b'{"a":"1","b":"2"}'), b"\2", BUCKET_KEY, upload))
write("record_customer_parts", upper=CUSTOMER_KEY, record=record(3, check_salt + check, b"\3" + tag, CUSTOMER_KEY, version))

key = part_key(3, PART_ID)
for name, length in [("empty", 0), ("short", 5), ("full", 65536), ("two", 65537), ("three", 150000)]:
    stored = frames(key, count(0, length))
    write(f"frames_{name}", object_key=OBJECT_KEY, number=3, id=PART_ID, plain_length=length, stored_length=len(stored),
          stored_sha256=hashlib.sha256(stored).digest(), first_bytes=stored[:32], last_bytes=stored[-32:])
