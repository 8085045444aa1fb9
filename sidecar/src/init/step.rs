//! One program that is run.

use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};

use svc_core::capture::Call;

use crate::error::RunError;

/// A program that is run, and when.
#[derive(Debug)]
pub(super) struct InitStep {
    /// What has failed when this fails.
    act: &'static str,
    run: Run,
    /// It is run only where this prints something, or nothing.
    only: Option<(Run, bool)>,
}

/// A program, its arguments, and what it reads.
#[derive(Debug)]
struct Run {
    program: &'static str,
    /// Separated by spaces.
    arguments: String,
    input: Option<String>,
}

impl InitStep {
    /// nft reads `rules` in one transaction: all of them hold afterwards, or none.
    pub(super) fn nft(act: &'static str, rules: String) -> InitStep {
        let run = Run { program: "nft", arguments: "-f -".to_owned(), input: Some(rules) };
        InitStep { act, run, only: None }
    }

    pub(super) fn ip(act: &'static str, call: Call) -> InitStep {
        let ip = |arguments| Run { program: "ip", arguments, input: None };
        InitStep { act, run: ip(call.act), only: Some((ip(call.look), call.if_there)) }
    }

    pub(super) fn run(&self) -> Result<(), RunError> {
        if self.is_due() { self.run.run().map_err(RunError::because(self.act)) } else { Ok(()) }
    }

    pub(super) fn script(&self) -> String {
        let run = self.run.script();
        match &self.only {
            None => run,
            Some((look, if_there)) => {
                let not = if *if_there { "" } else { "! " };
                format!("if {not}{} 2>/dev/null | grep -q .; then\n  {run}fi\n", look.script().trim_end())
            }
        }
    }

    /// A look that fails has found nothing: the table of routes that it asks for is not there, or the program is not.
    fn is_due(&self) -> bool {
        self.only.as_ref().is_none_or(|(look, if_there)| {
            let seen = look.output().is_ok_and(|output| !output.stdout.is_empty());
            seen == *if_there
        })
    }
}

impl Run {
    fn run(&self) -> Result<(), String> {
        let output = self.output().map_err(|error| self.cannot_run(&error))?;
        if output.status.success() { Ok(()) } else { Err(self.refusal(&output)) }
    }

    fn script(&self) -> String {
        let Run { program, arguments, input } = self;
        let input = input.as_ref().map(|input| format!(" <<'END'\n{input}END")).unwrap_or_default();
        format!("{program} {arguments}{input}\n")
    }

    fn output(&self) -> io::Result<Output> {
        let mut command = Command::new(self.program);
        command.args(self.arguments.split(' ')).env("LC_ALL", "C");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().expect("it was piped");
        let input = self.input.as_deref().unwrap_or_default();
        let _ = stdin.write_all(input.as_bytes()); // a program that reads no more says why on stderr
        drop(stdin);
        child.wait_with_output()
    }

    fn cannot_run(&self, error: &io::Error) -> String {
        let program = self.program;
        if error.kind() == io::ErrorKind::NotFound {
            format!(
                "there is no program `{program}`\nhint: the image must bring {program}, and PATH lead to it"
            )
        } else {
            format!("cannot run `{program}`: {error}")
        }
    }

    fn refusal(&self, output: &Output) -> String {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("{} ended with {}: {}", self.program, output.status, said.trim_end())
    }
}
