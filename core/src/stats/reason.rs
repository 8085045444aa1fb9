//! Why an endpoint is out.

/// Why an endpoint is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It failed so many times in a row.
    Consecutive,
    /// Too many of its recent requests failed.
    SuccessRate,
    /// Its Service's health check failed so many times in a row.
    HealthCheck,
}

impl Reason {
    /// All there are.
    pub const ALL: [Reason; 3] = [Reason::Consecutive, Reason::SuccessRate, Reason::HealthCheck];

    /// The name that metrics and logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Consecutive => "consecutive",
            Reason::SuccessRate => "success-rate",
            Reason::HealthCheck => "health-check",
        }
    }
}
