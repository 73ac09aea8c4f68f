//! What a request is for: unknown operations, sub-resources, names; what isn't built; what isn't set.

use coffer_tests::stored::Stored;

use crate::claim::{assert_all, mismatch, refuses, send, server, server_with};

#[tokio::test]
async fn what_names_no_operation_is_refused() {
    let server = server().await;
    refuses(
        &server,
        &[
            (
                "deleting a bucket's ACL is not deleting the bucket",
                "DELETE /photos?acl",
                &[],
                "",
                405,
                "MethodNotAllowed",
            ),
            (
                "deleting its location neither",
                "DELETE /photos?location",
                &[],
                "",
                405,
                "MethodNotAllowed",
            ),
            (
                "deleting an object's ACL is not deleting it",
                "DELETE /photos/k?acl",
                &[],
                "",
                405,
                "MethodNotAllowed",
            ),
            (
                "a part without a number is not an object",
                "PUT /photos/k?uploadId=u",
                &[],
                "x",
                405,
                "MethodNotAllowed",
            ),
            (
                "a part without an upload is not an object",
                "PUT /photos/k?partNumber=1",
                &[],
                "x",
                501,
                "NotImplemented",
            ),
            ("two sub-resources", "GET /photos?acl&policy", &[], "", 400, "InvalidArgument"),
            ("one twice", "GET /photos?acl&acl", &[], "", 400, "InvalidArgument"),
            (
                "a parameter twice, in two spellings",
                "GET /photos?prefix=a&%70refix=b",
                &[],
                "",
                400,
                "InvalidArgument",
            ),
            ("a listing of version 3", "GET /photos?list-type=3", &[], "", 400, "InvalidArgument"),
            ("a post to the service", "POST /", &[], "", 405, "MethodNotAllowed"),
            ("a method that nobody has", "PATCH /photos/k", &[], "", 405, "MethodNotAllowed"),
            ("MinIO's events", "GET /photos?events=s3:*", &[], "", 501, "NotImplemented"),
            (
                "another version of an object",
                "GET /photos/k?versionId=3",
                &[],
                "",
                404,
                "NoSuchVersion",
            ),
            (
                "another version, deleted",
                "DELETE /photos/k?versionId=3",
                &[],
                "",
                404,
                "NoSuchVersion",
            ),
            ("a part's number of 0", "GET /photos/k?partNumber=0", &[], "", 400, "InvalidArgument"),
            ("a negative page", "GET /photos?max-keys=-1", &[], "", 400, "InvalidArgument"),
            ("a page of letters", "GET /photos?max-keys=ten", &[], "", 400, "InvalidArgument"),
            (
                "an encoding that nobody has",
                "GET /photos?encoding-type=hex",
                &[],
                "",
                400,
                "InvalidArgument",
            ),
            (
                "a token of nobody",
                "GET /photos?list-type=2&continuation-token=%21",
                &[],
                "",
                400,
                "InvalidArgument",
            ),
            ("a bucket that isn't there", "GET /absent", &[], "", 404, "NoSuchBucket"),
            ("an object in it", "PUT /absent/k", &[], "x", 404, "NoSuchBucket"),
            ("an object that isn't there", "GET /photos/absent", &[], "", 404, "NoSuchKey"),
            ("HEAD of an object that isn't there", "HEAD /photos/absent", &[], "", 404, ""),
            ("HEAD of a bucket that isn't there", "HEAD /absent", &[], "", 404, ""),
            ("a bucket that is there", "PUT /photos", &[], "", 409, "BucketAlreadyOwnedByYou"),
            ("a bucket that isn't empty", "DELETE /photos", &[], "", 409, "BucketNotEmpty"),
            (
                "another owner's bucket",
                "GET /photos",
                &[("x-amz-expected-bucket-owner", "111111111111")],
                "",
                403,
                "AccessDenied",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn bad_bucket_names_are_refused() {
    let server = server().await;
    let long = "a".repeat(64);
    let before = Stored::of(&server).await;
    let mut wrong = Vec::new();
    for name in [
        "ab",
        &long,
        "Photos",
        "pho_tos",
        "-photos",
        "photos-",
        ".photos",
        "photos.",
        "pho..tos",
        "192.168.0.1",
        "1.2.3.4",
        "xn--photos",
        "sthree-photos",
        "photos-s3alias",
        "photos--ol-s3",
        "pho%20tos",
        "pho%00tos",
        "pho%0d%0atos",
        "ph%C3%B6tos",
        "%2e%2e",
        "..",
        "minio",
        "photos%2Fk%5C..",
    ] {
        let answer = send(server.client(), &format!("PUT /{name}"), &[], "").await;
        // A name with an encoded slash is a bucket and a key: the key must not reach the file system as a path.
        if name.contains("%2F") {
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            assert_eq!(send(server.client(), "DELETE /photos/k%5C..", &[], "").await.status, 204);
            continue;
        }
        wrong.extend(mismatch(name, &answer, 400, "InvalidBucketName"));
    }
    assert_all(wrong);
    before.assert_same(&server, "a bucket of a bad name was made").await;
    for name in ["abc", "a.b-c", &"a".repeat(63), "1.2.3.4.5"] {
        assert_eq!(
            send(server.client(), &format!("PUT /{name}"), &[], "").await.status,
            200,
            "{name}"
        );
        assert_eq!(
            send(server.client(), &format!("DELETE /{name}"), &[], "").await.status,
            204,
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_is_not_built_is_refused_never_ignored() {
    let server = server().await;
    refuses(
        &server,
        &[
            (
                "SSE-S3",
                "PUT /photos/new",
                &[("x-amz-server-side-encryption", "AES256")],
                "x",
                501,
                "NotImplemented",
            ),
            (
                "SSE-KMS",
                "PUT /photos/new",
                &[("x-amz-server-side-encryption", "aws:kms")],
                "x",
                501,
                "NotImplemented",
            ),
            (
                "SSE-C without a key",
                "PUT /photos/new",
                &[("x-amz-server-side-encryption-customer-algorithm", "AES256")],
                "x",
                400,
                "InvalidArgument",
            ),
            (
                "SSE-C without a key on a read",
                "GET /photos/k",
                &[("x-amz-server-side-encryption-customer-algorithm", "AES256")],
                "",
                400,
                "InvalidArgument",
            ),
            ("tags", "PUT /photos/new", &[("x-amz-tagging", "a=b")], "x", 501, "NotImplemented"),
            (
                "a retention",
                "PUT /photos/new",
                &[("x-amz-object-lock-mode", "GOVERNANCE")],
                "x",
                501,
                "NotImplemented",
            ),
            (
                "a legal hold",
                "PUT /photos/new",
                &[("x-amz-object-lock-legal-hold", "ON")],
                "x",
                501,
                "NotImplemented",
            ),
            (
                "a bucket with object lock",
                "PUT /third",
                &[("x-amz-bucket-object-lock-enabled", "true")],
                "",
                501,
                "NotImplemented",
            ),
            (
                "a grant",
                "PUT /photos/new",
                &[("x-amz-grant-read", "id=1")],
                "x",
                501,
                "NotImplemented",
            ),
            (
                "a public ACL",
                "PUT /photos/new",
                &[("x-amz-acl", "public-read")],
                "x",
                400,
                "AccessControlListNotSupported",
            ),
            (
                "a public bucket",
                "PUT /third",
                &[("x-amz-acl", "public-read")],
                "",
                400,
                "AccessControlListNotSupported",
            ),
            (
                "a storage class",
                "PUT /photos/new",
                &[("x-amz-storage-class", "GLACIER")],
                "x",
                400,
                "InvalidStorageClass",
            ),
            (
                "a redirect",
                "PUT /photos/new",
                &[("x-amz-website-redirect-location", "/")],
                "x",
                501,
                "NotImplemented",
            ),
            (
                "appending",
                "PUT /photos/k",
                &[("x-amz-write-offset-bytes", "11")],
                "x",
                501,
                "NotImplemented",
            ),
            (
                "versioning",
                "PUT /photos?versioning",
                &[],
                "<VersioningConfiguration/>",
                501,
                "NotImplemented",
            ),
            ("no encryption", "PUT /photos?encryption", &[], "<a/>", 400, "MalformedXML"),
            ("CORS", "PUT /photos?cors", &[], "<a/>", 501, "NotImplemented"),
            ("a lifecycle", "PUT /photos?lifecycle", &[], "<a/>", 501, "NotImplemented"),
            ("tags of an object", "PUT /photos/k?tagging", &[], "<a/>", 501, "NotImplemented"),
            ("a select", "POST /photos/k?select&select-type=2", &[], "<a/>", 501, "NotImplemented"),
            ("a restore", "POST /photos/k?restore", &[], "<a/>", 501, "NotImplemented"),
            ("a torrent", "GET /photos/k?torrent", &[], "", 501, "NotImplemented"),
            ("a rename", "PUT /photos/new?renameObject", &[], "", 501, "NotImplemented"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_not_quite_a_form_is_refused_whoever_sends_it() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n../other/k\r\n--b--\r\n";
    let headers = client.headers(&[("content-type", "multipart/form-data; boundary=b")]);
    let answer = client.send_as_is("POST", "/photos", "", headers, form).await.unwrap();
    assert_eq!(answer.code(), "IncorrectNumberOfFilesInPostRequest", "{answer:?}");
    let signed = send(client, "POST /photos", &[], form).await;
    assert_eq!((signed.status.as_u16(), signed.code().as_str()), (412, "PreconditionFailed"));
    before.assert_same(&server, "a form was stored").await;
}

#[tokio::test]
async fn a_configuration_that_is_not_set_reads_as_on_aws() {
    let server = server().await;
    for (line, status, text) in [
        ("GET /photos?versioning", 200, "<VersioningConfiguration"),
        ("GET /photos?notification", 200, "<NotificationConfiguration"),
        ("GET /photos?logging", 200, "<BucketLoggingStatus"),
        ("GET /photos?accelerate", 200, "<AccelerateConfiguration"),
        ("GET /photos?requestPayment", 200, "<Payer>BucketOwner</Payer>"),
        (
            "GET /photos?ownershipControls",
            200,
            "<ObjectOwnership>BucketOwnerEnforced</ObjectOwnership>",
        ),
        ("GET /photos?acl", 200, "<Permission>FULL_CONTROL</Permission>"),
        ("GET /photos/k?acl", 200, "<Permission>FULL_CONTROL</Permission>"),
        ("GET /photos/k?tagging", 200, "<TagSet/>"),
        ("GET /photos?location", 200, "<LocationConstraint"),
        ("GET /photos?tagging", 404, "<Code>NoSuchTagSet</Code>"),
        ("GET /photos?policy", 404, "<Code>NoSuchBucketPolicy</Code>"),
        ("GET /photos?policyStatus", 404, "<Code>NoSuchBucketPolicy</Code>"),
        (
            "GET /photos?encryption",
            404,
            "<Code>ServerSideEncryptionConfigurationNotFoundError</Code>",
        ),
        ("GET /photos?object-lock", 404, "<Code>ObjectLockConfigurationNotFoundError</Code>"),
        ("GET /photos?cors", 404, "<Code>NoSuchCORSConfiguration</Code>"),
        ("GET /photos?lifecycle", 404, "<Code>NoSuchLifecycleConfiguration</Code>"),
        ("GET /photos?replication", 404, "<Code>ReplicationConfigurationNotFoundError</Code>"),
        ("GET /photos?website", 404, "<Code>NoSuchWebsiteConfiguration</Code>"),
        ("GET /photos?publicAccessBlock", 404, "<Code>NoSuchPublicAccessBlockConfiguration</Code>"),
        ("GET /photos/k?retention", 400, "<Code>InvalidRequest</Code>"),
        ("GET /photos/k?legal-hold", 400, "<Code>InvalidRequest</Code>"),
        ("GET /absent?versioning", 404, "<Code>NoSuchBucket</Code>"),
        ("GET /photos/absent?acl", 404, "<Code>NoSuchKey</Code>"),
        ("GET /photos/k?acl&versionId=null", 200, "FULL_CONTROL"),
        ("GET /photos/k?acl&versionId=3", 404, "<Code>NoSuchVersion</Code>"),
        ("GET /photos/k?tagging&versionId=3", 404, "<Code>NoSuchVersion</Code>"),
    ] {
        let answer = send(server.client(), line, &[], "").await;
        assert_eq!(answer.status.as_u16(), status, "{line}: {}", answer.text());
        assert!(answer.text().contains(text), "{line}: {}", answer.text());
        // Another owner's bucket, this isn't.
        let another = [("x-amz-expected-bucket-owner", "111111111111")];
        let answer = send(server.client(), line, &another, "").await;
        assert_eq!(answer.status.as_u16(), 403, "{line}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_bucket_is_reached_by_its_host_name_too() {
    let server = server_with(&[("COFFER_DOMAINS", "s3.localhost,localhost.example")]).await;
    let client = server.client();
    let by_host = async |method: &str, host: &str, path: &str, query: &str| {
        let mut headers = client.headers(&[]);
        headers.insert("host", format!("{host}:{}", server.address().port()).parse().unwrap());
        let method_of = method.parse().unwrap();
        let payload = coffer_signature::PayloadHash::of(b"");
        client
            .signer()
            .sign_headers(
                &method_of,
                path,
                query,
                &mut headers,
                &payload,
                coffer_tests::client::now(),
            )
            .unwrap();
        client.send_as_is(method, path, query, headers, "").await.unwrap()
    };
    assert_eq!(by_host("GET", "photos.s3.localhost", "/k", "").await.text(), "hello world");
    assert_eq!(by_host("GET", "PHOTOS.S3.LocalHost", "/k", "").await.text(), "hello world");
    assert!(
        by_host("GET", "photos.s3.localhost", "/", "list-type=2")
            .await
            .text()
            .contains("<Key>k</Key>")
    );
    assert_eq!(by_host("GET", "s3.localhost", "/photos/k", "").await.text(), "hello world");
    assert_eq!(by_host("GET", "photos.s3.localhost", "/other/k", "").await.code(), "NoSuchKey");
    assert_eq!(by_host("GET", "..s3.localhost", "/k", "").await.code(), "InvalidBucketName");
    assert_eq!(by_host("PUT", "fourth.s3.localhost", "/", "").await.status, 200);
    assert_eq!(by_host("HEAD", "fourth.s3.localhost", "/", "").await.status, 200);
    // Below another name it is a path like any other.
    assert_eq!(
        by_host("GET", "photos.elsewhere.example", "/photos/k", "").await.text(),
        "hello world"
    );
}
