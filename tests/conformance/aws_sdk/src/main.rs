//! The AWS SDK for Rust does what a user would: `suite ENDPOINT CA_FILE BUCKET`, with keys from the environment. A line on
//! standard output for each case that passed; the first that fails ends it.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use aws_sdk_s3::{Client, Config};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let [endpoint, ca, bucket] = [(); 3].map(|()| arguments.next().expect("ENDPOINT CA_FILE BUCKET"));
    let client = client(&endpoint, &std::fs::read(ca)?)?;
    client.create_bucket().bucket(&bucket).send().await?;
    println!("header: create a bucket");
    small(&client, &bucket).await?;
    trailers(&client, &bucket).await?;
    parts(&client, &bucket).await?;
    presigned(&client, &bucket).await?;
    refused(&client, &bucket).await
}

fn client(endpoint: &str, ca: &[u8]) -> Result<Client, Box<dyn std::error::Error>> {
    let trusted = TrustStore::empty().with_pem_certificate(ca);
    let context = TlsContext::builder().with_trust_store(trusted).build()?;
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build_https();
    let key = |name| std::env::var(name);
    let (id, secret) = (key("AWS_ACCESS_KEY_ID")?, key("AWS_SECRET_ACCESS_KEY")?);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::from_keys(id, secret, None))
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    Ok(Client::from_conf(config))
}

/// Everything that the SDK sends with a hash of its body, or none to hash.
async fn small(client: &Client, bucket: &str) -> Outcome {
    let body = ByteStream::from_static(b"content");
    client.put_object().bucket(bucket).key("a b/ü+%").body(body).metadata("who", "me").send().await?;
    let got = client.get_object().bucket(bucket).key("a b/ü+%").send().await?;
    assert_eq!(got.metadata().and_then(|all| all.get("who")).map(String::as_str), Some("me"));
    assert_eq!(got.body.collect().await?.into_bytes().as_ref(), b"content");
    let copy = client.copy_object().bucket(bucket).key("copy").copy_source(format!("{bucket}/a%20b/%C3%BC%2B%25"));
    copy.send().await?;
    let listed = client.list_objects_v2().bucket(bucket).prefix("a b/").send().await?;
    assert_eq!(listed.key_count(), Some(1));
    client.delete_object().bucket(bucket).key("copy").send().await?;
    println!("header: put, get, copy, list, delete");
    Ok(())
}

/// A body that streams is sent in chunks with an unsigned trailer.
async fn trailers(client: &Client, bucket: &str) -> Outcome {
    for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Sha256] {
        let file = std::env::temp_dir().join(format!("aws-sdk-suite-{}", std::process::id()));
        std::fs::write(&file, vec![7; 300_000])?;
        let body = ByteStream::read_from().path(&file).build().await?;
        let put = client.put_object().bucket(bucket).key("streamed").checksum_algorithm(algorithm.clone()).body(body);
        let sent = put.send().await;
        std::fs::remove_file(&file)?;
        sent?;
        let head = client.head_object().bucket(bucket).key("streamed").send().await?;
        assert_eq!(head.content_length(), Some(300_000));
        println!("chunks with an unsigned trailer: {algorithm}");
    }
    Ok(())
}

async fn parts(client: &Client, bucket: &str) -> Outcome {
    let begun = client.create_multipart_upload().bucket(bucket).key("parts").send().await?;
    let id = begun.upload_id().ok_or("no upload id")?;
    let mut all = CompletedMultipartUpload::builder();
    for number in 1..=2 {
        let part = client.upload_part().bucket(bucket).key("parts").upload_id(id).part_number(number);
        let put = part.body(ByteStream::from(vec![1; 5 << 20])).send().await?;
        let crc = put.checksum_crc32().map(str::to_owned);
        let part = CompletedPart::builder().part_number(number).set_e_tag(put.e_tag).set_checksum_crc32(crc);
        all = all.parts(part.build());
    }
    let complete = client.complete_multipart_upload().bucket(bucket).key("parts").upload_id(id);
    complete.multipart_upload(all.build()).send().await?;
    let got = client.get_object().bucket(bucket).key("parts").range("bytes=5242879-5242880").send().await?;
    assert_eq!(got.body.collect().await?.into_bytes().len(), 2);
    println!("header: an upload in parts");
    Ok(())
}

/// The URL is printed for a client of another kind to fetch.
async fn presigned(client: &Client, bucket: &str) -> Outcome {
    let life = PresigningConfig::expires_in(Duration::from_secs(300))?;
    let url = client.get_object().bucket(bucket).key("a b/ü+%").presigned(life).await?;
    println!("presigned: {}", url.uri());
    Ok(())
}

/// What isn't there is told by the code that the SDK has a type for.
async fn refused(client: &Client, bucket: &str) -> Outcome {
    let missing = client.get_object().bucket(bucket).key("missing").send().await;
    assert!(missing.err().ok_or("found")?.into_service_error().is_no_such_key());
    let deleted = client.delete_bucket().bucket(bucket).send().await;
    let error = deleted.err().ok_or("deleted")?.into_service_error();
    assert_eq!(error.meta().code(), Some("BucketNotEmpty"));
    println!("errors: NoSuchKey, BucketNotEmpty");
    Ok(())
}
