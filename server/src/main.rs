//! `coffer-server`: reads its configuration, opens the store, serves, and drains at the end.

use std::process::ExitCode;

use clap::Parser;
use coffer_server::config::Config;

// Many small allocations from many threads: measurably cheaper than the system's allocator, and it gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let config = Config::parse();
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log)
        .unwrap_or_else(|_error| tracing_subscriber::EnvFilter::new("info"));
    // The wire library logs whole requests, keys of customers among them: never, at any level.
    let filter = ["s3s=off"]
        .iter()
        .filter_map(|one| one.parse().ok())
        .fold(filter, tracing_subscriber::EnvFilter::add_directive);
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "can't start");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(coffer_server::run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "can't start");
            ExitCode::FAILURE
        }
    }
}
