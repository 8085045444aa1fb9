//! Running programs, with both of their outputs in one text, in the order they were written.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::process::{Command, Stdio};

use crate::{Result, place};

/// How a program ended and everything it said.
pub(crate) struct Finished {
    pub(crate) success: bool,
    pub(crate) output: String,
}

/// Runs `command` to its end. A program that cannot be started has failed, with the reason as its output.
pub(crate) fn run(command: Command) -> Finished {
    let name = command.get_program().display().to_string();
    capture(command).unwrap_or_else(|error| Finished {
        success: false,
        output: format!("cannot run `{name}`: {error}\n"),
    })
}

/// Runs `command` to its end for what it has to say: its standard output without the line end. Its failure is an error with
/// all that it said.
pub(crate) fn answer(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("cannot run `{name}`: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{command:?} failed:\n{}", text(&[output.stdout, output.stderr].concat())).into())
}

fn capture(mut command: Command) -> io::Result<Finished> {
    let (mut reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    drop(command); // its copies of the writer would keep the pipe open
    let mut output = Vec::new();
    reader.read_to_end(&mut output)?;
    let status = child.wait()?;
    Ok(Finished { success: status.success(), output: String::from_utf8_lossy(&output).into_owned() })
}

/// Cargo, in the workspace, as the toolchain file has it.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    command("cargo", arguments)
}

/// Any program, in the workspace.
pub(crate) fn command<const N: usize>(program: impl AsRef<OsStr>, arguments: [&str; N]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(place::root()).args(arguments);
    command
}
