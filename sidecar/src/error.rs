//! Why a program of ours could not do what it was asked for.

/// Why the sidecar could not run, or not be shown.
#[derive(Debug)]
pub struct RunError {
    act: String,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

impl RunError {
    pub(crate) fn because<E>(act: impl Into<String>) -> impl FnOnce(E) -> RunError
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let act = act.into();
        move |cause| RunError { act, cause: cause.into() }
    }
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.act)
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.cause)
    }
}
