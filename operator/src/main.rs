//! `coffer-operator`: runs in a cluster, plays without one, prints the resource definitions.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use coffer_crds::definition;
use coffer_operator::causes::with_causes;
use coffer_operator::explain::running::{Question, Running};
use coffer_operator::play::{self, check};
use coffer_operator::run;
use coffer_operator::settings::Settings;
use coffer_operator::{audit, explain};

/// Secure S3 tenants from manifests.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Work in a cluster: reconcile all Tenants.
    Run(Run),
    /// Run manifests on this machine, without a cluster.
    Play(Play),
    /// Print the `CustomResourceDefinitions`.
    Crds(Crds),
    /// Say what policies decide.
    Explain(Explain),
    /// Work with audit records.
    #[command(subcommand)]
    Audit(Audit),
}

#[derive(Debug, clap::Args)]
struct Run {
    /// The image of Tenants that name none: this program's own.
    #[arg(long, env = "COFFER_IMAGE", value_name = "IMAGE")]
    image: Option<String>,
    /// The cluster's DNS domain.
    #[arg(
        long,
        env = "COFFER_CLUSTER_DOMAIN",
        default_value = "cluster.local",
        value_name = "DOMAIN"
    )]
    cluster_domain: String,
    /// How long a server that is told to end waits for its open requests, in seconds.
    #[arg(long, env = "COFFER_DRAIN_SECONDS", default_value_t = 20, value_name = "N")]
    drain_seconds: u64,
    /// Where /livez, /readyz and /metrics are, over plain HTTP.
    #[arg(long, env = "COFFER_HEALTH", default_value = "0.0.0.0:8080", value_name = "ADDR:PORT")]
    health: SocketAddr,
    /// The namespace of the Lease by which one of several operators works. Without it there must be only one.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
    /// Who this process is, in the Lease and in events.
    #[arg(long, env = "POD_NAME", default_value = "coffer-operator", value_name = "NAME")]
    identity: String,
    /// Namespaces where this operator may list and watch Secrets (comma list); elsewhere it reads them by name.
    #[arg(long, env = "COFFER_SECRET_NAMESPACES", value_delimiter = ',', value_name = "NAMESPACE")]
    secret_namespaces: Vec<String>,
    /// How often Secrets are read by name, in milliseconds.
    #[arg(long, env = "COFFER_SECRET_POLL_MILLISECONDS", default_value_t = 3000, value_name = "N")]
    secret_poll_milliseconds: u64,
    /// What is logged, as JSON lines: a level, or a list such as `info,kube=debug`.
    #[arg(long, env = "COFFER_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
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

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("asked").args(["manifests", "tenant", "endpoint"]))]
struct Explain {
    /// Read a question from each line of standard input, as JSON, and answer each by a line.
    #[arg(long, conflicts_with = "user")]
    batch: bool,
    /// The user that asks, as a User resource names it.
    #[arg(required_unless_present = "batch", requires_all = ["action", "resource", "asked"])]
    user: Option<String>,
    /// What for, such as s3:GetObject.
    action: Option<String>,
    /// On what: an ARN such as arn:aws:s3:::album/a.jpg, or *.
    resource: Option<String>,
    /// Files and folders of manifests, which alone are asked.
    #[arg(short = 'f', long, value_name = "PATH")]
    manifests: Vec<PathBuf>,
    /// A Tenant that runs, by the kubeconfig: its server is asked, with its root credentials, at the address of its Service.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    tenant: Option<String>,
    /// A server that runs: https://host:port. It is asked with the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    #[arg(long, value_name = "URL", requires = "ca")]
    endpoint: Option<String>,
    /// The certificates by which that server is known, as PEM text.
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    ca: Option<PathBuf>,
    /// What else is known of the request, such as aws:SourceIp=192.0.2.1.
    #[arg(long, value_name = "KEY=VALUE")]
    context: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Find records that were removed, changed or moved: prints each run's last number and hash; exit code 1 if any was.
    Verify {
        /// Files of records, in the order in which they were written. Default: standard input.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run(arguments).await,
        Command::Play(arguments) => play(arguments).await,
        Command::Crds(arguments) => crds(&arguments),
        Command::Explain(explain) if explain.batch => explain_batch(),
        Command::Explain(explain) => explain_one(&explain).await,
        Command::Audit(Audit::Verify { files }) => audit_verify(&files),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Run) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let filter = tracing_subscriber::EnvFilter::try_new(&arguments.log)?;
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    run::run(run::Options {
        settings: Settings {
            image: arguments.image.filter(|image| !image.is_empty()),
            cluster_domain: arguments.cluster_domain,
            drain: Duration::from_secs(arguments.drain_seconds),
            extra_names: Vec::new(),
        },
        health: arguments.health,
        lease_namespace: arguments.lease_namespace,
        identity: arguments.identity,
        secret_namespaces: arguments
            .secret_namespaces
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect(),
        poll: Duration::from_millis(arguments.secret_poll_milliseconds),
    })
    .await?;
    Ok(ExitCode::SUCCESS)
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

fn audit_verify(files: &[PathBuf]) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut lines: Box<dyn std::io::Read> = Box::new(std::io::empty());
    for file in files {
        let opened = std::fs::File::open(file)
            .map_err(|error| format!("can't read `{}`: {error}", file.display()))?;
        lines = Box::new(lines.chain(opened));
    }
    if files.is_empty() {
        lines = Box::new(std::io::stdin());
    }
    let (chains, faults) = audit::verify(std::io::BufReader::new(lines))?;
    let mut out = std::io::stdout().lock();
    for (run, chain) in &chains {
        writeln!(out, "run {run}: {} records, the last {}", chain.records, chain.last)?;
    }
    for fault in &faults {
        complain(&fault.to_string());
    }
    let is_whole = faults.is_empty() && !chains.is_empty();
    if chains.is_empty() {
        complain("there are no audit records");
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

fn explain_batch() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let out = std::io::BufWriter::new(std::io::stdout().lock());
    explain::batch(std::io::stdin().lock(), out)?;
    Ok(ExitCode::SUCCESS)
}

async fn explain_one(asked: &Explain) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Explain { batch: _, user, action, resource, manifests, tenant, endpoint, ca, context } =
        asked;
    let text = |argument: &'_ Option<String>| argument.clone().unwrap_or_default();
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in context {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("--context `{pair}`: write it as KEY=VALUE"))?;
        known.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    let (user, action, resource) = (text(user), text(action), text(resource));
    let running = match (tenant, endpoint, ca) {
        (Some(tenant), _, _) => Some(Running::by_kubeconfig(tenant).await?),
        (None, Some(endpoint), Some(ca)) => Some(Running::at(endpoint, ca).await?),
        (None, _, _) => None,
    };
    if let Some(running) = running {
        let (user, action, resource) = (user.as_str(), action.as_str(), resource.as_str());
        let question = Question { user, action, resource, context: &known };
        #[expect(clippy::disallowed_methods, reason = "the edge of the program")]
        let answer = running.explain(&question, jiff::Timestamp::now()).await?;
        writeln!(std::io::stdout().lock(), "{answer}")?;
        return Ok(ExitCode::SUCCESS);
    }
    match check::explain(manifests, &user, &action, &resource, &known) {
        Ok(answer) => {
            writeln!(std::io::stdout().lock(), "{answer}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            for problem in &problems {
                complain(problem);
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

#[expect(
    clippy::let_underscore_must_use,
    reason = "without standard error there is no one to tell"
)]
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}
