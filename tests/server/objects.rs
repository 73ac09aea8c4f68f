use coffer_tests::server::Server;

#[tokio::test]
async fn what_is_put_is_got() {
    let server = Server::start().await;
    let client = server.client();
    assert_eq!(client.send("PUT", "/photos", "", &[], "").await.status, 200);
    let put = client.send("PUT", "/photos/a", "", &[("content-type", "text/plain")], "hello").await;
    assert_eq!(
        (put.status.as_u16(), put.header("etag")),
        (200, "\"5d41402abc4b2a76b9719d911017c592\"".to_owned())
    );
    let got = client.send("GET", "/photos/a", "", &[], "").await;
    assert_eq!(
        (got.text(), got.header("content-type")),
        ("hello".to_owned(), "text/plain".to_owned())
    );
}
