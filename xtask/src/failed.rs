//! What a failed step has to show: what failed, and not the hundred lines of what cargo did before.

/// The part of `output` that tells of failures. All of it, where nothing in it is known not to.
pub(crate) fn part(output: &str) -> String {
    let kept = output.lines().filter(|line| !is_noise(line)).collect::<Vec<&str>>().join("\n");
    let kept = kept.trim();
    if kept.is_empty() { output.trim().to_owned() } else { kept.to_owned() }
}

/// What cargo and cargo-nextest say while they work.
fn is_noise(line: &str) -> bool {
    const VERBS: [&str; 13] = [
        "Blocking",
        "Checking",
        "Compiling",
        "Documenting",
        "Downloaded",
        "Downloading",
        "Finished",
        "Fresh",
        "Locking",
        "Nextest",
        "Starting",
        "Updating",
        "────────────",
    ];
    let verb = line.trim_start().split(' ').next().unwrap_or_default();
    (line.starts_with(' ') || line == verb) && VERBS.contains(&verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_failed_is_shown() {
        let output = "   Compiling sidecar v0.1.0\n    Finished `test` profile\n────────────\n Nextest run ID 1\n    \
            Starting 7 tests across 2 binaries\n        FAIL [   0.5s] (1/7) sidecar::http health::a\n  stderr ───\n    left: 1\n";
        let part = part(output);
        for shown in ["FAIL [   0.5s]", "stderr", "    left: 1"] {
            assert!(part.contains(shown), "{shown}:\n{part}");
        }
        for hidden in ["Compiling", "Finished", "Starting", "Nextest", "────"] {
            assert!(!part.contains(hidden), "{hidden}:\n{part}");
        }
    }

    #[test]
    fn what_is_no_harness_is_shown_but_for_what_cargo_compiled() {
        let output = "    Checking sidecar v0.1.0\nerror[E0308]: mismatched types\n --> src/lib.rs:1:1\n";
        assert_eq!(part(output), "error[E0308]: mismatched types\n --> src/lib.rs:1:1");
        assert_eq!(part("   Compiling a v1\n"), "Compiling a v1", "better that than nothing");
    }
}
