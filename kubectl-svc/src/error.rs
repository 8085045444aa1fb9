//! Errors, with a hint for those that have a remedy.

use std::fmt;

/// An error for people: what could not be done, why, and what may help.
#[derive(Debug)]
pub(crate) struct Error {
    text: String,
    hint: Option<String>,
}

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Error {
        Error { text: text.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Error {
        Error { hint: Some(hint.into()), ..self }
    }

    /// The failure of a request for `resource` of a namespace, or of all.
    pub(crate) fn request(error: &kube::Error, resource: &str, namespace: Option<&str>) -> Error {
        let kube::Error::Api(status) = error else {
            return Error::new(format!("cannot list {resource}: {}", with_causes(error)))
                .hint("does `kubectl get services` reach the API server?");
        };
        match status.code {
            401 => Error::new(format!("the API server does not accept the credentials: {}", status.message))
                .hint("has the token expired? `kubectl auth whoami` tells more"),
            403 => Error::forbidden(&status.message, resource, namespace),
            code if status.reason == NO_STATUS => {
                Error::new(format!("the server's answer is no API server's: status {code}"))
                    .hint("`kubectl cluster-info` tells which server is asked")
            }
            _ => Error::new(format!("from server ({}): {}", status.reason, status.message)),
        }
    }

    fn forbidden(message: &str, resource: &str, namespace: Option<&str>) -> Error {
        let (place, hint) = match namespace {
            Some(name) => (format!("namespace `{name}`"), "a Role that allows it: deploy/rbac/kubectl-svc"),
            None => (
                "all namespaces".to_owned(),
                "without --all-namespaces a Role of one namespace is enough: deploy/rbac/kubectl-svc",
            ),
        };
        Error::new(format!("not allowed to read {resource} in {place}: {message}")).hint(hint)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The reason that kube gives to an answer that is not a Status object.
const NO_STATUS: &str = "Failed to parse error data";

/// An error with its causes, each said once.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn an_answer_of_another_server_is_told_as_such() {
        let status = Status::failure("<html>", NO_STATUS).with_code(404);
        let error = Error::request(&kube::Error::Api(Box::new(status)), "services", None);
        assert!(
            error.to_string().starts_with("the server's answer is no API server's: status 404"),
            "{error}"
        );
    }
}
