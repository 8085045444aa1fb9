//! One program that is run.

use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};

use crate::RunError;

/// A program, its arguments, and what it reads.
#[derive(Debug)]
pub(super) struct Step {
    /// What has failed when this fails.
    act: &'static str,
    program: &'static str,
    arguments: Vec<String>,
    input: String,
}

impl Step {
    /// nft reads `rules` in one transaction: all of them hold afterwards, or none.
    pub(super) fn nft(act: &'static str, rules: String) -> Step {
        Step { act, program: "nft", arguments: vec!["-f".to_owned(), "-".to_owned()], input: rules }
    }

    pub(super) fn run(&self) -> Result<(), RunError> {
        let output = self.output().map_err(|error| RunError::because(self.act)(self.cannot_run(&error)))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(RunError::because(self.act)(self.refusal(&output))),
        }
    }

    pub(super) fn script(&self) -> String {
        let Step { program, arguments, input, .. } = self;
        format!("{program} {} <<'END'\n{input}END\n", arguments.join(" "))
    }

    fn output(&self) -> io::Result<Output> {
        let mut command = Command::new(self.program);
        command.args(&self.arguments).env("LC_ALL", "C");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().expect("it was piped");
        let _ = stdin.write_all(self.input.as_bytes()); // a program that reads no more says why on stderr
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
