//! `kubectl svc`: Services and their endpoints, as clients find them. Only reads.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command answers on stdout, and complains on stderr"
)]

mod args;
mod cluster;
mod command;
mod error;
mod objects;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(exit_code) => exit_code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<ExitCode, Error> {
    let answer = match &args.command {
        Command::List(options) => command::list::run(&args.cluster, options).await?,
        Command::Endpoints(options) => command::endpoints::run(&args.cluster, options).await?,
        Command::Env(options) => command::env::run(&args.cluster, options).await?,
        Command::Check(options) => command::check::run(&args.cluster, options).await?,
    };
    answer.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    answer.note.iter().for_each(|note| eprintln!("{note}"));
    print!("{}", answer.text);
    Ok(if answer.has_errors { ExitCode::from(FOUND_ERRORS) } else { ExitCode::SUCCESS })
}

/// The exit code of a check that found errors.
const FOUND_ERRORS: u8 = 3;
