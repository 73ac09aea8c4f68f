//! boto3: what people's scripts do, asserted in `boto3_suite.py`.

use coffer_tests::clients;
use coffer_tests::server::Server;

#[tokio::test]
async fn every_case_of_the_suite_passes() {
    let server = Server::start_with(&[("COFFER_DOMAINS", "s3.localhost")]).await;
    clients::boto3_suite(clients::command(&clients::python("python"), &server), &[]);
}
