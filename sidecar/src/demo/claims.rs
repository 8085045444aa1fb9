//! What a line of the tour must show.

use super::shell::Finished;

/// So many lines of the output contain a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutputClaim {
    pub(super) lines: usize,
    pub(super) text: &'static str,
}

/// What does not hold, in words; nothing when all does. A line that fails holds no claim.
pub(super) fn broken(claims: &[OutputClaim], finished: &Finished) -> Vec<String> {
    let failed = (!finished.success).then(|| "expected success, and it failed".to_owned());
    failed.into_iter().chain(claims.iter().filter_map(|claim| claim.broken(&finished.output))).collect()
}

impl OutputClaim {
    fn broken(self, output: &str) -> Option<String> {
        let OutputClaim { lines, text } = self;
        let found = output.lines().filter(|line| line.contains(text)).count();
        (found != lines).then(|| format!("expected `{text}` in {}, found it in {found}", counted(lines)))
    }
}

fn counted(lines: usize) -> String {
    match lines {
        0 => "no line".to_owned(),
        1 => "1 line".to_owned(),
        lines => format!("{lines} lines"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(success: bool, output: &str, expected: &[&str]) {
        let claims = [OutputClaim { lines: 2, text: "pod-a" }, OutputClaim { lines: 0, text: "pod-c" }];
        let finished = Finished { success, output: output.to_owned() };
        assert_eq!(broken(&claims, &finished), expected, "{output}");
    }

    #[test]
    fn what_came_as_expected_holds() {
        check(true, "pod-a\npod-b\npod-a pod-a\n", &[]);
    }

    #[test]
    fn what_is_missing_or_too_much_is_told_with_what_came() {
        check(
            true,
            "pod-a\npod-c\n",
            &["expected `pod-a` in 2 lines, found it in 1", "expected `pod-c` in no line, found it in 1"],
        );
    }

    #[test]
    fn the_right_words_of_a_line_that_failed_do_not_hold() {
        check(false, "pod-a\npod-a\n", &["expected success, and it failed"]);
    }
}
