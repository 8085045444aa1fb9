//! The demo as a stranger runs it, by the built binary.

use std::process::{Command, Output};
use std::time::Duration;

fn demo(prepare: impl Fn(&mut Command)) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidecar"));
    prepare(command.args(["demo", "--once"]));
    command.output().expect("the binary is built")
}

/// The output of the tour, when no other demo of this machine takes it.
fn tour() -> Output {
    const SECONDS_MAX: u32 = 60; // another one takes four
    for _ in 0..SECONDS_MAX {
        let output = demo(|_| {});
        if !String::from_utf8_lossy(&output.stderr).contains("another demo runs") {
            return output;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("another demo has run for {SECONDS_MAX} s");
}

#[test]
fn every_line_of_the_tour_shows_what_it_should() {
    let output = tour();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(stderr.is_empty() && stdout.ends_with("13 of 13 held\n"), "{stdout}{stderr}");
    assert!(!stdout.contains('\x1b'), "colour without a terminal: {stdout}");
    let wide = stdout.lines().find(|line| line.chars().count() > 100);
    assert_eq!(wide, None, "lines fit a terminal");
    assert_readme_shows(&stdout);
    let folder = stdout.split_whitespace().find(|word| word.contains("svcmesh-demo-")).expect("it is told");
    assert!(!std::path::Path::new(folder).exists(), "{folder} is left behind");
}

/// The picture in the README, but for what differs from run to run: numbers, and whose turn it was.
fn assert_readme_shows(stdout: &str) {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).expect("it is in the repository");
    let picture =
        readme.split("```").find(|block| block.contains(" held\n")).expect("the README shows the tour");
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
    let output = demo(|command| {
        command.env("PATH", "/nonexistent");
    });
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("install the package `curl`"), "{stderr}");
}
