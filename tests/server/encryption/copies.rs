//! Copies between all forms; and a key that is changed by copying an object onto itself.

use super::{Form, ask, content, done, md5_tag, pair, server_with};

#[tokio::test]
async fn any_form_is_copied_to_any_other() {
    let server = server_with(&[]).await;
    let content = content(200_000);
    for from in Form::ALL {
        done(
            &server,
            "PUT /photos/from",
            &[&from.write(), &[pair("x-amz-meta-a", "1")]],
            content.clone(),
        )
        .await;
        for to in [Form::Plain, Form::S3, Form::Kms, Form::KmsOther, Form::Customer(2)] {
            let why = format!("{from:?} to {to:?}");
            let source = pair("x-amz-copy-source", "/photos/from");
            let headers = [&to.write()[..], &from.source(), &[source]];
            let copied = done(&server, "PUT /photos/to", &headers, "").await;
            to.assert_told(&copied, &why);
            let got = done(&server, "GET /photos/to", &[&to.read()], "").await;
            to.assert_told(&got, &why);
            assert!(got.body == content, "{why}");
            assert_eq!(got.header("x-amz-meta-a"), "1", "{why}");
            assert_eq!(got.header("etag") == md5_tag(&content), to.tells_md5(), "{why}");
        }
    }
}

#[tokio::test]
async fn an_objects_key_changes_when_it_is_copied_onto_itself() {
    let server = server_with(&[]).await;
    let content = content(100_000);
    done(&server, "PUT /photos/k", &[&Form::Plain.write()], content.clone()).await;
    let mut was = Form::Plain;
    let onto_itself = pair("x-amz-copy-source", "/photos/k");
    for is in [
        Form::S3,
        Form::S3,
        Form::Kms,
        Form::KmsOther,
        Form::Customer(1),
        Form::Customer(2),
        Form::Kms,
    ] {
        let headers = [&is.write()[..], &was.source(), std::slice::from_ref(&onto_itself)];
        is.assert_told(&done(&server, "PUT /photos/k", &headers, "").await, "copied");
        let got = done(&server, "GET /photos/k", &[&is.read()], "").await;
        assert!(got.body == content, "{was:?} to {is:?}");
        if let Form::Customer(_) = was {
            let old = ask(&server, "GET /photos/k", &[&was.read()], "").await;
            assert!(old.status.is_client_error(), "{was:?} still opens it");
        }
        was = is;
    }
}
