//! Whose an answer is: the proxy gives its own where the endpoint gave none.

use svc_core::outcome::Failure;

use crate::host::Http;

/// Who has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The endpoint.
    Endpoints,
    /// The proxy, because the endpoint has failed.
    Failed(Failure),
    /// The proxy, for reasons of its own.
    Nobodys,
}

/// Who has answered with `status`. Only what may be the proxy's costs a call of the host.
pub(super) fn of(status: u16, host: &impl Http) -> Verdict {
    if !matches!(status, 403 | 404 | 408 | 413 | 425 | 429 | 500..=599) {
        return Verdict::Endpoints;
    }
    let details = host.property(&["response", "code_details"]).unwrap_or_default();
    by_details(&details)
}

/// By Envoy's response code details.
fn by_details(details: &[u8]) -> Verdict {
    let begins = |start: &str| details.starts_with(start.as_bytes());
    if begins("via_upstream") || details.is_empty() {
        Verdict::Endpoints
    } else if begins("upstream_reset_before_response_started{connection_timeout") {
        Verdict::Failed(Failure::ConnectTimeout)
    } else if begins("upstream_reset_before_response_started{remote_connection_failure")
        || begins("upstream_reset_before_response_started{local_connection_failure")
        || begins("upstream_reset_before_response_started{connection_failure")
    {
        Verdict::Failed(Failure::ConnectRefused)
    } else if begins("upstream_reset_before_response_started{protocol_error") {
        Verdict::Failed(Failure::BadResponse)
    } else if begins("upstream_reset_before_response_started") {
        Verdict::Failed(Failure::Reset)
    } else if begins("upstream_response_timeout") || begins("upstream_per_try_timeout") {
        Verdict::Failed(Failure::ResponseTimeout)
    } else {
        Verdict::Nobodys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_endpoint_did_is_held_against_it() {
        for (details, verdict) in [
            ("via_upstream", Verdict::Endpoints),
            ("", Verdict::Endpoints),
            (
                "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
                Verdict::Failed(Failure::ConnectRefused),
            ),
            (
                "upstream_reset_before_response_started{connection_timeout}",
                Verdict::Failed(Failure::ConnectTimeout),
            ),
            (
                "upstream_reset_before_response_started{connection_termination}",
                Verdict::Failed(Failure::Reset),
            ),
            ("upstream_reset_before_response_started{protocol_error}", Verdict::Failed(Failure::BadResponse)),
            ("upstream_response_timeout", Verdict::Failed(Failure::ResponseTimeout)),
            ("no_healthy_upstream", Verdict::Nobodys),
            ("route_not_found", Verdict::Nobodys),
            ("rbac_access_denied", Verdict::Nobodys),
        ] {
            assert_eq!(by_details(details.as_bytes()), verdict, "{details}");
        }
    }
}
