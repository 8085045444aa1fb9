//! What `--log` is for: svcmesh's own events. Dependencies tell of what remotes do, in as many lines as remotes like; theirs are for who names them.

/// A filter in which a level without a target is that of our own targets, and dependencies log errors at most.
pub(super) fn for_our_own(filter: &str) -> String {
    let mut directives = Vec::new();
    for directive in filter.split(',').map(str::trim) {
        if !is_level(directive) {
            directives.push(directive.to_owned());
            continue;
        }
        let others = if directive.eq_ignore_ascii_case("off") || directive == "0" { "off" } else { "error" };
        directives.push(others.to_owned());
        directives.extend(OWN.map(|target| format!("{target}={directive}")));
    }
    directives.join(",")
}

fn is_level(directive: &str) -> bool {
    LEVELS.iter().any(|level| directive.eq_ignore_ascii_case(level))
}

/// As `tracing` has them.
const LEVELS: [&str; 12] = ["off", "error", "warn", "info", "debug", "trace", "0", "1", "2", "3", "4", "5"];

/// The targets of our own crates.
const OWN: [&str; 3] = ["sidecar", "svc_core", "svc_proto"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_alone_is_for_our_own_and_dependencies_log_what_they_are_named_for() {
        assert_eq!(for_our_own("info"), "error,sidecar=info,svc_core=info,svc_proto=info");
        assert_eq!(
            for_our_own("warn, sidecar::run=debug,h2=trace"),
            "error,sidecar=warn,svc_core=warn,svc_proto=warn,sidecar::run=debug,h2=trace"
        );
        assert_eq!(for_our_own("off"), "off,sidecar=off,svc_core=off,svc_proto=off");
        assert_eq!(for_our_own("sidecar=debug"), "sidecar=debug");
    }
}
