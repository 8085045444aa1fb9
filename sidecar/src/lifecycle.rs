//! How far the process has come.

/// How far the process's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Running,
    /// Connections are asked to finish; new ones are still served.
    Draining,
    Ended,
}
