//! What a failed step has to show: what failed, and not the thousand lines of what did not.

/// The names of the tests that `cargo test` says have failed, once each.
pub(crate) fn tests(output: &str) -> Vec<String> {
    let failed = output.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    let mut names: Vec<String> = failed.map(str::to_owned).collect();
    // A test that prints has its verdict on another line, but its name stands in the list at the end.
    let mut in_list = false;
    for line in output.lines() {
        match line.strip_prefix("    ") {
            Some(name) if in_list => names.push(name.to_owned()),
            _ => in_list = line == "failures:",
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The part of `output` that tells of failures. All of it, where nothing in it is known not to.
pub(crate) fn part(output: &str) -> String {
    let mut kept = Vec::new();
    let mut binary: Option<&str> = None;
    let mut state = State::Between;
    for line in output.lines() {
        if line.trim_start().starts_with("Running ") || line.trim_start().starts_with("Doc-tests ") {
            (binary, state) = (Some(line), State::Between);
        } else if is_running(line) {
            state = State::Tests;
        } else if line == "failures:" {
            kept.extend(binary.take());
            kept.push(line);
            state = State::Failures;
        } else if line.starts_with("test result: ") {
            if state == State::Failures {
                kept.push(line);
            }
            state = State::Between;
        } else if state == State::Failures || (state == State::Between && !is_noise(line)) {
            kept.push(line);
        }
    }
    let kept = kept.join("\n");
    let kept = kept.trim();
    if kept.is_empty() { output.trim().to_owned() } else { kept.to_owned() }
}

/// Where in the output of `cargo test` a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Cargo speaks, or another program altogether.
    Between,
    /// A harness tells of one test after another.
    Tests,
    /// A harness tells what the failed ones said.
    Failures,
}

/// `running 12 tests`
fn is_running(line: &str) -> bool {
    let count = line.strip_prefix("running ").and_then(|rest| rest.split_once(" test"));
    count.is_some_and(|(count, _)| count.parse::<u64>().is_ok())
}

/// What cargo says while it works.
fn is_noise(line: &str) -> bool {
    const VERBS: [&str; 10] = [
        "Blocking",
        "Checking",
        "Compiling",
        "Documenting",
        "Downloaded",
        "Downloading",
        "Finished",
        "Fresh",
        "Locking",
        "Updating",
    ];
    let verb = line.trim_start().split(' ').next().unwrap_or_default();
    line.starts_with("  ") && VERBS.contains(&verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "   Compiling sidecar v0.1.0\n    Finished `test` profile\n     Running unittests src/lib.rs (a)\n\n\
        running 2 tests\ntest a::good ... ok\ntest a::better ... ok\n\n\
        test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\n     Running tests/b.rs (b)\n\n\
        running 3 tests\ntest b::good ... ok\ntest b::bad ... FAILED\ntest b::loud ... it says so\nFAILED\n\nfailures:\n\n---- b::bad stdout ----\n\
        left: 1\nright: 2\n\n\nfailures:\n    b::bad\n    b::loud\n\n\
        test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n\n\
        error: test failed, to rerun pass `--test b`\n";

    #[test]
    fn only_what_failed_is_shown() {
        let part = part(OUTPUT);
        for shown in
            ["tests/b.rs", "---- b::bad stdout ----", "left: 1", "test result: FAILED", "error: test failed"]
        {
            assert!(part.contains(shown), "{shown}:\n{part}");
        }
        for hidden in ["Compiling", "src/lib.rs", "a::good", "b::good ... ok", "test result: ok"] {
            assert!(!part.contains(hidden), "{hidden}:\n{part}");
        }
    }

    #[test]
    fn the_failed_tests_are_named_once() {
        assert_eq!(tests(OUTPUT), ["b::bad", "b::loud"]);
        assert_eq!(tests("Diff in src/lib.rs\n"), [""; 0]);
    }

    #[test]
    fn what_is_no_harness_is_shown_but_for_what_cargo_compiled() {
        let output = "    Checking sidecar v0.1.0\nerror[E0308]: mismatched types\n --> src/lib.rs:1:1\n";
        assert_eq!(part(output), "error[E0308]: mismatched types\n --> src/lib.rs:1:1");
        assert_eq!(part("   Compiling a v1\n"), "Compiling a v1", "better that than nothing");
    }
}
