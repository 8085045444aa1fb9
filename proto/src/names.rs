//! Every annotation, header, environment, port and metric name, once.

/// Annotations on Services, Endpoints and EndpointSlices.
pub mod annotation {
    /// `rr`, `random`, `lc`, `wrr`, `dh`, `sh`, `sed`, `nq`, `p2c` or `maglev`.
    pub const LOAD_BALANCER: &str = "svcmesh.dev/load-balancer";
    /// `ADDRESS|POD=N,…`: how much of the traffic an endpoint gets beside the others.
    pub const WEIGHTS: &str = "svcmesh.dev/weights";
}

/// Header names that we set or trust, in the lower case that HTTP/2 demands.
pub mod header {
    /// The addresses a request came through, nearest last.
    pub const X_FORWARDED_FOR: &str = "x-forwarded-for";
    /// The scheme the client used.
    pub const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
    /// The authority the client asked for.
    pub const X_FORWARDED_HOST: &str = "x-forwarded-host";
    /// What the client is called by proxies that believe it; never believed from a stranger.
    pub const X_REAL_IP: &str = "x-real-ip";
    /// RFC 7239.
    pub const FORWARDED: &str = "forwarded";
    /// RFC 9209: whose fault a failure is.
    pub const PROXY_STATUS: &str = "proxy-status";
}

/// The value prefix of everything that names this proxy (`Via`, `Proxy-Status`).
pub const PROXY_NAME: &str = "svcmesh";
