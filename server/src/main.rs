//! `coffer-server`: reads its configuration, opens the store, serves, and drains at the end.

use std::process::ExitCode;

use clap::Parser;
use coffer_server::config::Config;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

// Many small allocations from many threads: measurably cheaper than the system's allocator, and it gives memory back.
// Not with huge pages: they hold several times the memory that is used (measured: 221 instead of 85 MiB).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Libraries speak up only when something is wrong.
const LIBRARIES: &str = "fjall=warn,lsm_tree=warn,h2=warn,hyper=warn,hyper_util=warn,rustls=warn";

/// The wire library logs whole requests, keys of customers among them: it never speaks, whatever the configured filter says.
fn is_discreet(metadata: &tracing::Metadata<'_>) -> bool {
    !metadata.target().starts_with("s3s")
}

/// Threads that may wait for the disk at once. None of them waits for a client; each keeps some memory.
const DISK_THREADS: usize = 32;

/// Turns of tasks after which a busy thread looks for connections that have something new. The usual 61 are long where some
/// connections are always busy: the others' requests wait for it.
const EVENT_INTERVAL: u32 = 8;

fn main() -> ExitCode {
    let config = Config::parse();
    let filter = EnvFilter::try_new(format!("{},{LIBRARIES}", config.log))
        .unwrap_or_else(|_error| EnvFilter::new(format!("info,{LIBRARIES}")));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        // Where a line can't be written, there is nobody to tell: by default that panics, and takes the thread along.
        .log_internal_errors(false);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter.and(filter_fn(is_discreet))))
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(DISK_THREADS)
        .event_interval(EVENT_INTERVAL)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "can't start");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(coffer_server::run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = told(&error), "can't start");
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes: the first says what couldn't be done, the last why.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
