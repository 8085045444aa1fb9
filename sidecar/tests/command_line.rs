//! The built binary, as a shell or the kubelet starts it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

fn sidecar(arguments: &[&str], variables: &[(&str, &OsStr)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidecar"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command.output().expect("the binary is built")
}

fn check(output: &Output, code: i32, stdout_has: &str, stderr_has: &str) {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    assert!(stdout.contains(stdout_has) && stdout.is_empty() == stdout_has.is_empty(), "{stdout}");
    assert!(stderr.contains(stderr_has) && stderr.is_empty() == stderr_has.is_empty(), "{stderr}");
}

#[test]
fn help_is_an_answer() {
    check(&sidecar(&["run", "--help"], &[]), 0, "SIDECAR_CONNECT_TIMEOUT", "");
    check(&sidecar(&["--version"], &[]), 0, env!("CARGO_PKG_VERSION"), "");
}

#[test]
fn check_prints_what_holds_and_does_not_run() {
    let variables = [("SIDECAR_WORKERS", OsStr::new("3"))];
    check(&sidecar(&["run", "--check", "--zone=a"], &variables), 0, "--zone", "");
}

#[test]
fn mistakes_end_it_with_64_and_are_told_on_stderr() {
    check(&sidecar(&["run", "--workers=0"], &[]), 64, "", "--workers `0`: expected a number from 1 to 64");
    check(&sidecar(&["run", "--wokers=1"], &[]), 64, "", "'--workers'");
    check(&sidecar(&["walk"], &[]), 64, "", "walk");
    check(&sidecar(&[], &[]), 64, "", "run");
}

#[test]
fn what_is_no_unicode_hurts_nobody_unless_it_is_a_setting() {
    let odd = OsStr::from_bytes(b"\xff\xfe");
    check(&sidecar(&["run", "--check"], &[("ODD", odd)]), 0, "--zone", "");
    check(&sidecar(&["run", "--check"], &[("SIDECAR_ZONE", odd)]), 64, "", "SIDECAR_ZONE");
}

#[test]
fn init_shows_what_it_would_do_and_tells_what_is_wrong() {
    check(&sidecar(&["init", "--dry-run"], &[]), 0, "redirect to :15001", "");
    check(&sidecar(&["init", "--dry-run", "--clean"], &[]), 0, "delete table inet svcmesh", "");
    check(&sidecar(&["init", "--user=root"], &[]), 64, "", "`sidecar init --help` explains every setting");
}

#[test]
fn init_without_nft_says_what_it_lacks() {
    let nowhere = [("PATH", OsStr::new("/nowhere"))];
    check(&sidecar(&["init"], &nowhere), 1, "", "cannot write the rules: there is no program `nft`\nhint: ");
    check(&sidecar(&["init", "--clean"], &nowhere), 1, "", "cannot remove the rules: ");
}

#[test]
fn lint_ends_with_1_where_it_finds_a_fault_and_with_0_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
    let lint = |text: &str, flags: &[&str]| {
        std::fs::write(&path, text).unwrap();
        let arguments = ["lint"].iter().chain(flags).copied().chain([path.to_str().unwrap()]);
        sidecar(&arguments.collect::<Vec<_>>(), &[])
    };
    check(&lint(service, &[]), 0, "1 file, 1 object: 0 errors, 0 warnings", "");
    check(
        &lint(&service.replace("80", "0"), &[]),
        1,
        "web.yaml:4: error: Service \"default/web\": spec.ports[0].port",
        "",
    );
    check(&lint(&service.replace("80", "0"), &["-o", "json"]), 1, "\"field\": \"spec.ports[0].port\"", "");
    let doubled = format!("{service}kind: Service\n");
    check(&lint(&doubled, &[]), 0, "web.yaml:5: warning: ", "");
    check(&lint(&doubled, &["--strict"]), 1, "1 warning", "");
    check(&sidecar(&["lint"], &[]), 64, "", "<PATH>");
    check(&sidecar(&["lint", "--help"], &[]), 0, "Exit codes: 0 without errors", "");
    check(&sidecar(&["lint", "-o", "xml", "x"], &[]), 64, "", "xml");
}

#[test]
fn what_keeps_it_from_starting_is_told_whatever_the_filter_says() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let admin = format!("--admin={}", taken.local_addr().expect("it is bound"));
    let quiet = ["--outbound=off", "--inbound=off", "--forward-proxy=off", "--discovery=env"];
    for filter in ["--log=off", "--log=h2=error", "--log=error"] {
        let arguments = [&["run", &admin, filter][..], &quiet].concat();
        check(&sidecar(&arguments, &[]), 1, "", "the sidecar cannot run error=cannot listen on");
        let output = sidecar(&[&arguments[..], &["--log-format=json"]].concat(), &[]);
        let line: serde_json::Value = serde_json::from_slice(&output.stderr).expect("one line of JSON");
        assert_eq!(line["message"], "the sidecar cannot run");
    }
}

#[test]
fn a_filter_with_an_unknown_word_is_a_mistake_beside_all_others() {
    let output = sidecar(&["run", "--log=inof", "--workers=0"], &[]);
    check(&output, 64, "", "--log `inof`: expected a level");
    check(&output, 64, "", "--workers `0`");
    check(&sidecar(&["run", "--check", "--log=info,sidcar=debug"], &[]), 64, "", "sidecar");
}
