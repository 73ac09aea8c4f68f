//! A data folder has one process.

use std::process::Stdio;

use coffer_tests::server::Server;

#[tokio::test]
async fn a_second_process_on_the_same_data_ends_with_a_clear_error() {
    let mut server = Server::start().await;
    let second = |server: &Server| {
        let mut command = server.command();
        // The same arguments but for the address, so that it is the folder that is in the way.
        let free = coffer_tests::server::free_address().to_string();
        let arguments: Vec<String> = server
            .arguments()
            .into_iter()
            .map(
                |argument| {
                    if argument == server.address().to_string() { free.clone() } else { argument }
                },
            )
            .collect();
        command = std::process::Command::new(command.get_program());
        command.args(arguments).stdin(Stdio::null()).output().unwrap()
    };
    let output = second(&server);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.status.code().is_some(), "{:?}", output.status);
    assert!(said.contains("is in use by another process; stop it first"), "{said}");
    assert!(said.contains(&server.folder().join("data").display().to_string()), "{said}");
    // The first doesn't notice.
    assert_eq!(server.client().send("PUT", "/photos", "", &[], "").await.status, 200);
    // Killed, it holds the folder no longer.
    server.kill();
    server.launch().await;
    assert_eq!(
        server.client().reconnecting().send("HEAD", "/photos", "", &[], "").await.status,
        200
    );
}
