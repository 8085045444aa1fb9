//! `kubectl svc`: Services and their endpoints, as clients find them. Only reads.

mod args;
mod cluster;
mod command;
mod error;
mod objects;
mod output;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(exit_code) => exit_code,
        Err(error) => {
            let _told = write(io::stderr().lock(), &format!("error: {error}\n"));
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
    let warnings: String = answer.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    let note = answer.note.map(|note| note + "\n").unwrap_or_default();
    write(io::stderr().lock(), &(warnings + &note))?;
    write(io::stdout().lock(), &answer.text)?;
    Ok(if answer.has_errors { ExitCode::from(FOUND_ERRORS) } else { ExitCode::SUCCESS })
}

/// Writes a text to a reader that may have gone, as `head` does once it has its lines.
fn write(mut stream: impl Write, text: &str) -> Result<(), Error> {
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(format!("cannot write the answer: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The exit code of a check that found errors.
const FOUND_ERRORS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that takes nothing.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_enough_is_no_error_and_a_full_disk_is_one() {
        assert!(write(Broken(io::ErrorKind::BrokenPipe), "text").is_ok());
        let error = write(Broken(io::ErrorKind::StorageFull), "text").unwrap_err().to_string();
        assert!(error.starts_with("cannot write the answer: "), "{error}");
    }
}
