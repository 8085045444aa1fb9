//! The sidecar's command line.

use std::process::ExitCode;

use clap::Command;
use sidecar::config::{self, Config, Surroundings};
use sidecar::log;

fn main() -> ExitCode {
    let cli = Command::new("sidecar")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The Kubernetes Service system from inside the pod")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(config::command());
    match cli.try_get_matches().as_ref().map(clap::ArgMatches::subcommand) {
        Ok(Some(("run", flags))) => run(flags),
        Ok(_) => unreachable!("clap knows no other verb and demands one"),
        Err(refusal) => answer(refusal),
    }
}

fn run(flags: &clap::ArgMatches) -> ExitCode {
    let config = match Config::read(flags, &Surroundings::of_process()) {
        Ok(config) => config,
        Err(mistakes) => {
            eprint!("{mistakes}");
            return ExitCode::from(config::EXIT_MISTAKES);
        }
    };
    if flags.get_flag(config::CHECK) {
        let _ = std::io::Write::write_all(&mut std::io::stdout(), config.effective.to_string().as_bytes());
        return ExitCode::SUCCESS;
    }
    log::start(&config.logs);
    for name in &config.unknown_variables {
        tracing::warn!(name, "unknown variable, ignored");
    }
    match sidecar::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the sidecar cannot run");
            ExitCode::FAILURE
        }
    }
}

/// What clap has to say: help and the version are answers, the rest are mistakes.
fn answer(refusal: &clap::Error) -> ExitCode {
    let _ = refusal.print(); // nobody is left to tell
    match refusal.use_stderr() {
        true => ExitCode::from(config::EXIT_MISTAKES),
        false => ExitCode::SUCCESS,
    }
}
