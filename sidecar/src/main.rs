//! The sidecar's command line.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use sidecar::config::{self, Config, Init, Lint, Surroundings};
use sidecar::{RunError, demo, init, lint, log};

fn main() -> ExitCode {
    let cli = Command::new("sidecar")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The Kubernetes Service system from inside the pod")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(config::command())
        .subcommand(config::init_command())
        .subcommand(config::lint_command())
        .subcommand(demo_command());
    match cli.try_get_matches().as_ref().map(ArgMatches::subcommand) {
        Ok(Some(("run", flags))) => run(flags),
        Ok(Some(("init", flags))) => prepare(flags),
        Ok(Some(("lint", flags))) => check(flags),
        Ok(Some(("demo", flags))) => show(demo::run(flags.get_flag(ONCE))),
        Ok(_) => unreachable!("clap knows no other verb and demands one"),
        Err(refusal) => answer(refusal),
    }
}

fn run(flags: &ArgMatches) -> ExitCode {
    let config = match Config::read(flags, &Surroundings::of_process()) {
        Ok(config) => config,
        Err(mistakes) => return refuse(&mistakes),
    };
    if flags.get_flag(config::CHECK) {
        return print(&config.effective.to_string());
    }
    log::start(&config.logs);
    for name in &config.unknown_variables {
        tracing::warn!(name, "unknown variable, ignored");
    }
    let logs = config.logs.clone();
    let ended = match sidecar::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::cannot_run(&logs, &error);
            ExitCode::FAILURE
        }
    };
    log::flush();
    ended
}

/// The verb `init`.
fn prepare(flags: &ArgMatches) -> ExitCode {
    let config = match Init::read(flags, &Surroundings::of_process()) {
        Ok(config) => config,
        Err(mistakes) => return refuse(&mistakes),
    };
    for name in &config.unknown_variables {
        eprintln!("sidecar init: unknown variable {name}, ignored");
    }
    let task = match flags.get_flag(config::CLEAN) {
        true => init::Task::clean(),
        false => init::Task::capture(&config.capture),
    };
    if flags.get_flag(config::DRY_RUN) {
        return print(&task.script());
    }
    match task.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail("init", &error),
    }
}

/// The verb `lint`.
fn check(flags: &ArgMatches) -> ExitCode {
    let config = match Lint::read(flags, &Surroundings::of_process()) {
        Ok(config) => config,
        Err(mistakes) => return refuse(&mistakes),
    };
    let report = lint::lint(&config.paths, &config.rules);
    print(&report.show(config.output));
    match report.is_clean(config.strict) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn refuse(mistakes: &config::SettingMistakes) -> ExitCode {
    eprint!("{mistakes}");
    ExitCode::from(config::EXIT_MISTAKES)
}

fn print(answer: &str) -> ExitCode {
    let _ = std::io::Write::write_all(&mut std::io::stdout(), answer.as_bytes()); // nobody is left to tell
    ExitCode::SUCCESS
}

fn demo_command() -> Command {
    let once = Arg::new(ONCE).long(ONCE).action(ArgAction::SetTrue);
    Command::new("demo")
        .about("Show on this machine what `run` does, with a few backends of its own and curl")
        .arg(once.help("End after the tour: 0 when each line showed what it should, else 1"))
}

const ONCE: &str = "once";

fn show(passed: Result<bool, RunError>) -> ExitCode {
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail("demo", &error),
    }
}

fn fail(verb: &str, error: &RunError) -> ExitCode {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let chain: Vec<String> = causes.map(ToString::to_string).collect();
    eprintln!("sidecar {verb}: {}", chain.join(": "));
    ExitCode::FAILURE
}

/// What clap has to say: help and the version are answers, the rest are mistakes.
fn answer(refusal: &clap::Error) -> ExitCode {
    let _ = refusal.print(); // nobody is left to tell
    match refusal.use_stderr() {
        true => ExitCode::from(config::EXIT_MISTAKES),
        false => ExitCode::SUCCESS,
    }
}
