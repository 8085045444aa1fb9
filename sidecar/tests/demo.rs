//! The demo as a stranger runs it, by the built binary.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use testing::network::enter_own_network;

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidecar"));
    command.arg("demo").args(arguments);
    command
}

/// What `attempt` gives once no other demo runs on this machine, which only root need not wait for.
fn patiently<T>(attempt: impl Fn() -> Option<T>) -> T {
    const SECONDS_MAX: u32 = 60; // another one takes four
    for _ in 0..SECONDS_MAX {
        if let Some(result) = attempt() {
            return result;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("another demo has run for {SECONDS_MAX} s");
}

#[test]
fn every_line_of_the_tour_shows_what_it_should() {
    enter_own_network();
    let output = patiently(|| {
        let output = demo(&["--once"]).output().expect("the binary is built");
        (!String::from_utf8_lossy(&output.stderr).contains("another demo runs")).then_some(output)
    });
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(stderr.is_empty() && stdout.ends_with("13 of 13 passed\n"), "{stdout}{stderr}");
    assert!(!stdout.contains('\x1b'), "colour without a terminal: {stdout}");
    let wide = stdout.lines().find(|line| line.chars().count() > 100);
    assert_eq!(wide, None, "lines fit a terminal");
    assert_readme_shows(&stdout);
    assert_nothing_is_left(&stdout);
}

#[test]
fn without_once_all_stays_until_the_demo_is_told_to_end() {
    enter_own_network();
    let (mut demo, stdout) = patiently(|| {
        let mut demo = demo(&[]).stdout(Stdio::piped()).spawn().expect("the binary is built");
        let lines = BufReader::new(demo.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let stdout = up_to(lines, "http_proxy=");
        match stdout.is_empty() {
            true => demo.wait().map(|_| None).expect("it is ours"),
            false => Some((demo, stdout.join("\n"))),
        }
    });
    assert!(stdout.contains("All of it stays up until Ctrl-C"), "{stdout}");
    let proxy = word_with(&stdout, "http://127.0.0.1:").expect("the forward proxy is told");
    kill_process(Pid::from_child(&demo), Signal::TERM).expect("it runs");
    assert!(demo.wait().expect("it is ours").success());
    assert_nothing_is_left(&stdout);
    let asked = Command::new("curl").args(["-sS", proxy]).output().expect("the demo found it too");
    assert_eq!(asked.status.code(), Some(7), "connection refused: the sidecar has ended with the demo");
}

/// The lines up to the first that contains `part`, and not one more: it may never come.
fn up_to(lines: impl Iterator<Item = String>, part: &str) -> Vec<String> {
    let mut heard = Vec::new();
    for line in lines {
        let last = line.contains(part);
        heard.push(line);
        if last {
            break;
        }
    }
    heard
}

fn assert_nothing_is_left(stdout: &str) {
    let folder = word_with(stdout, "svcmesh-demo-").expect("the folder is told");
    assert!(!Path::new(folder).exists(), "{folder} is left behind");
}

fn word_with<'a>(stdout: &'a str, part: &str) -> Option<&'a str> {
    stdout.split_whitespace().find(|word| word.contains(part))
}

/// The picture in the README, but for what differs from run to run: numbers, and whose turn it was.
fn assert_readme_shows(stdout: &str) {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).expect("it is in the repository");
    let picture =
        readme.split("```").find(|block| block.contains(" passed\n")).expect("the README shows the tour");
    let shown: Vec<String> = stdout.lines().map(lasting).collect();
    for line in picture.lines().skip(1) {
        assert!(shown.contains(&lasting(line)), "the README shows what the demo does not: {line}");
    }
}

/// `line` with `#` for each number and `pod-#` for each pod.
fn lasting(line: &str) -> String {
    let pods =
        ["pod-a", "pod-b", "pod-c"].iter().fold(line.to_owned(), |line, pod| line.replace(pod, "pod-1"));
    let mut lasting = String::new();
    for letter in pods.trim_end().chars() {
        match letter.is_ascii_digit() {
            true if lasting.ends_with('#') => {}
            true => lasting.push('#'),
            false => lasting.push(letter),
        }
    }
    lasting
}

#[test]
fn without_curl_the_demo_names_what_to_install() {
    let output = demo(&["--once"]).env("PATH", "/nonexistent").output().expect("the binary is built");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("install the package `curl`"), "{stderr}");
}
