//! `coffer-listener`: holds the listening socket of a server beside it, so that no connection is refused while that is
//! started anew.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use coffer_server::accept::listener;
use tokio::signal::unix::{SignalKind, signal};

/// Holds the listening socket of a coffer-server.
#[derive(Debug, Parser)]
#[command(name = "coffer-listener", version)]
struct Arguments {
    /// Address and port to listen on.
    #[arg(long, env = "COFFER_LISTEN", default_value = "0.0.0.0:9000")]
    listen: SocketAddr,

    /// Path of the Unix socket at which the server asks.
    #[arg(long, env = "COFFER_LISTENER")]
    listener: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .init();
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let stop = async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            listener::hold(arguments.listen, &arguments.listener, stop).await
        })
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "can't hold the socket");
            ExitCode::FAILURE
        }
    }
}
