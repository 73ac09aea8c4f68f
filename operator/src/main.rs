//! `coffer-operator`: runs in a cluster, plays without one, prints the resource definitions.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use coffer_crds::definition;
use coffer_operator::play::{self, check};
use coffer_operator::settings::Settings;

/// Secure S3 tenants from manifests.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run manifests on this machine, without a cluster.
    Play(Play),
    /// Print the `CustomResourceDefinitions`.
    Crds(Crds),
}

#[derive(Debug, clap::Args)]
struct Play {
    /// Files and folders of manifests.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where data, keys and certificates lie; a second start finds them there.
    #[arg(long, default_value = "coffer-data", value_name = "DIR")]
    data: PathBuf,
    /// Where the first Tenant listens; the next one takes the next port.
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDR:PORT")]
    listen: SocketAddr,
    /// Write AWS_* shell lines there once the Tenant is ready (FILE.NAME for each of several Tenants).
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Only validate: exit code 0 if all is valid, else 1.
    #[arg(long)]
    check: bool,
    /// The server's program. Default: coffer-server beside this program.
    #[arg(long, env = "COFFER_SERVER", value_name = "FILE")]
    server: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Crds {
    /// Write one file for each definition into this folder instead of printing them.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Play(arguments) => play(arguments).await,
        Command::Crds(arguments) => crds(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            complain(&text);
            ExitCode::FAILURE
        }
    }
}

async fn play(arguments: Play) -> Result<ExitCode, Box<dyn std::error::Error>> {
    if arguments.check {
        let settings = Settings { image: Some("coffer".to_owned()), ..Settings::default() };
        let report = check::check(&arguments.paths, &settings);
        let mut out = std::io::stdout().lock();
        for line in &report.lines {
            writeln!(out, "{line}")?;
        }
        report.problems.iter().for_each(|problem| complain(problem));
        return Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let server = match arguments.server {
        Some(server) => server,
        None => std::env::current_exe()?.with_file_name("coffer-server"),
    };
    play::run(play::Options {
        paths: arguments.paths,
        data: arguments.data,
        listen: arguments.listen,
        env_file: arguments.env_file,
        server,
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

fn crds(arguments: &Crds) -> Result<ExitCode, Box<dyn std::error::Error>> {
    for definition in definition::all()? {
        let yaml = definition.yaml()?;
        match &arguments.write {
            Some(folder) => std::fs::write(folder.join(definition.file), yaml)?,
            None => write!(std::io::stdout().lock(), "---\n{yaml}")?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(
    clippy::let_underscore_must_use,
    reason = "without standard error there is no one to tell"
)]
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}
