//! What Envoy makes of a request before the filter sees it, where that changes what the endpoint is told.

use testing::parity::{Case, Request, Step};

/// The stories that are told in other words.
pub(super) const STORIES: [&str; 5] = [
    "Via is continued whoever says it",
    "Lists are continued in one line",
    "The scheme that a trusted proxy saw",
    "The scheme in capitals",
    "The schemes of WebSocket are those of HTTP",
];

/// Has a story expect what comes of a request in Envoy; whether that is anything else.
pub(super) fn of_envoy(case: &mut Case) -> bool {
    let mut is_changed = false;
    for (_, step) in &mut case.steps {
        if let Step::Ask(request) = step {
            let told = request.told.iter().map(|(name, value)| (name.clone(), said(name, value, request)));
            let told: Vec<_> = told.collect();
            is_changed |= told != request.told;
            request.told = told;
        }
    }
    is_changed
}

/// Envoy says by itself by which scheme a request came, whatever a trusted proxy says of it (`deploy/envoy/README.md`), and joins the lines of
/// the lists that it knows without the space that others put between them.
fn said(name: &str, value: &str, request: &Request) -> String {
    match name {
        "x-forwarded-proto" => "http".to_owned(),
        "via" | "x-forwarded-for" => {
            let lines = request.headers.iter().filter(|(said, _)| said.eq_ignore_ascii_case(name));
            let lines: Vec<&str> = lines.map(|(_, value)| &**value).collect();
            value.replace(&lines.join(", "), &lines.join(","))
        }
        _ => value.to_owned(),
    }
}
