//! The help, as users read it.

use std::process::Command;

#[test]
fn the_help_names_the_plugin_as_kubectl_calls_it() {
    let commands = ["--help", "list --help", "endpoints --help", "env --help"];
    let shown = commands.map(|words| {
        let mut plugin = Command::new(env!("CARGO_BIN_EXE_kubectl-svc"));
        let output = plugin.args(words.split(' ')).env_clear().env("COLUMNS", "100").output();
        let output = output.expect("it was built");
        assert!(output.status.success());
        format!("$ kubectl svc {words}\n{}", String::from_utf8_lossy(&output.stdout))
    });
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_mistake_on_the_command_line_has_an_exit_code_of_its_own() {
    for (words, told) in [("lst", "kubectl svc"), ("list --request-timeout soon", "expected a duration")] {
        let mut plugin = Command::new(env!("CARGO_BIN_EXE_kubectl-svc"));
        let output = plugin.args(words.split(' ')).output().expect("it was built");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(told));
    }
}
