//! Every annotation, header, environment, port and metric name, once.

/// Annotations on Services, Endpoints and EndpointSlices.
pub mod annotation {
    /// What all of ours begin with.
    pub const PREFIX: &str = "svcmesh.dev/";
    /// `rr`, `random`, `lc`, `wrr`, `dh`, `sh`, `sed`, `nq`, `p2c` or `maglev`.
    pub const LOAD_BALANCER: &str = "svcmesh.dev/load-balancer";
    /// `ADDRESS|POD=N,…`: how much of the traffic an endpoint gets beside the others.
    pub const WEIGHTS: &str = "svcmesh.dev/weights";
    /// `proxy` or `kernel`: who carries the bytes.
    pub const DATA_PATH: &str = "svcmesh.dev/data-path";
    /// `v1` or `v2`: the PROXY header sent to the Service's pods.
    pub const PROXY_PROTOCOL: &str = "svcmesh.dev/proxy-protocol";
    /// How long a request may take in all.
    pub const TIMEOUT: &str = "svcmesh.dev/timeout";
    /// How long one try of a request may take.
    pub const TRY_TIMEOUT: &str = "svcmesh.dev/try-timeout";
    /// `connect|reset|gateway-error,attempts=2`: what is sent again.
    pub const RETRY: &str = "svcmesh.dev/retry";
    /// How long a connection may say nothing.
    pub const IDLE_TIMEOUT: &str = "svcmesh.dev/idle-timeout";
    /// How many connections an endpoint gets at once.
    pub const MAX_CONNECTIONS: &str = "svcmesh.dev/max-connections";
    /// `off | consecutive=5,base=1s,max=60s`: when an endpoint that fails is left out.
    pub const EJECT: &str = "svcmesh.dev/eject";
    /// How long a new endpoint takes to its full share.
    pub const SLOW_START: &str = "svcmesh.dev/slow-start";
    /// `http:/path | tcp,interval=10s,…`: how endpoints are asked whether they live.
    pub const HEALTH_CHECK: &str = "svcmesh.dev/health-check";
    /// `off` or `originate`: whether the way to the pods is encrypted.
    pub const TLS: &str = "svcmesh.dev/tls";
    /// `secret/NAME`: whose signature on a pod's certificate is believed.
    pub const TLS_CA: &str = "svcmesh.dev/tls-ca";
    /// Whether `Location` headers are rewritten back to the name the client used.
    pub const REWRITE_LOCATION: &str = "svcmesh.dev/rewrite-location";
    /// Whether an external name may lead to this pod or its node.
    pub const ALLOW_LOCAL_EXTERNAL_NAME: &str = "svcmesh.dev/allow-local-external-name";

    /// `8080=http,5432=tcp`, on pods: what the application speaks at its ports.
    pub const INBOUND_PROTOCOLS: &str = "svcmesh.dev/inbound-protocols";

    /// All that a Service may carry.
    pub const ON_SERVICES: [&str; 16] = [
        LOAD_BALANCER,
        WEIGHTS,
        DATA_PATH,
        PROXY_PROTOCOL,
        TIMEOUT,
        TRY_TIMEOUT,
        RETRY,
        IDLE_TIMEOUT,
        MAX_CONNECTIONS,
        EJECT,
        SLOW_START,
        HEALTH_CHECK,
        TLS,
        TLS_CA,
        REWRITE_LOCATION,
        ALLOW_LOCAL_EXTERNAL_NAME,
    ];

    /// Those of AWS that mean something to a data plane (S-20, S-22, S-23). Numbers are written as strings; an empty one counts as absent.
    pub mod aws {
        /// Whether an endpoint that leaves keeps its connections for a limited time.
        pub const DRAINING_ENABLED: &str =
            "service.beta.kubernetes.io/aws-load-balancer-connection-draining-enabled";
        /// Seconds.
        pub const DRAINING_TIMEOUT: &str =
            "service.beta.kubernetes.io/aws-load-balancer-connection-draining-timeout";
        /// Seconds that a connection may say nothing.
        pub const IDLE_TIMEOUT: &str = "service.beta.kubernetes.io/aws-load-balancer-connection-idle-timeout";
        /// Checks in a row that must succeed.
        pub const HEALTHY_THRESHOLD: &str =
            "service.beta.kubernetes.io/aws-load-balancer-healthcheck-healthy-threshold";
        /// Checks in a row that must fail.
        pub const UNHEALTHY_THRESHOLD: &str =
            "service.beta.kubernetes.io/aws-load-balancer-healthcheck-unhealthy-threshold";
        /// Seconds between checks.
        pub const CHECK_INTERVAL: &str = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval";
        /// Seconds for one check.
        pub const CHECK_TIMEOUT: &str = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-timeout";
        /// `TCP`, `HTTP` or their encrypted forms.
        pub const CHECK_PROTOCOL: &str = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol";
        /// A number, or `traffic-port`.
        pub const CHECK_PORT: &str = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-port";
        /// What is asked for by HTTP.
        pub const CHECK_PATH: &str = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-path";
        /// `*`: on every port, the pods expect what a load balancer says of its clients (S-20).
        pub const PROXY_PROTOCOL: &str = "service.beta.kubernetes.io/aws-load-balancer-proxy-protocol";

        /// `nlb`, `external`: another than a classic load balancer, whose rules are others.
        pub const TYPE: &str = "service.beta.kubernetes.io/aws-load-balancer-type";

        /// All of these.
        pub const ON_SERVICES: [&str; 12] = [
            DRAINING_ENABLED,
            DRAINING_TIMEOUT,
            IDLE_TIMEOUT,
            HEALTHY_THRESHOLD,
            UNHEALTHY_THRESHOLD,
            CHECK_INTERVAL,
            CHECK_TIMEOUT,
            CHECK_PROTOCOL,
            CHECK_PORT,
            CHECK_PATH,
            PROXY_PROTOCOL,
            TYPE,
        ];
    }
}

/// Labels of Kubernetes that we read.
pub mod label {
    /// The Service that an EndpointSlice belongs to.
    pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
    /// The node of an endpoint, in the `topology` of `discovery.k8s.io/v1beta1`.
    pub const TOPOLOGY_HOSTNAME: &str = "kubernetes.io/hostname";
    /// The zone of an endpoint, in the `topology` of `discovery.k8s.io/v1beta1`.
    pub const TOPOLOGY_ZONE: &str = "topology.kubernetes.io/zone";
}

/// Header names that we set or trust, in the lower case that HTTP/2 demands.
pub mod header {
    /// The addresses a request came through, nearest last.
    pub const X_FORWARDED_FOR: &str = "x-forwarded-for";
    /// The scheme the client used.
    pub const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
    /// The authority the client asked for.
    pub const X_FORWARDED_HOST: &str = "x-forwarded-host";
    /// The port the client asked for.
    pub const X_FORWARDED_PORT: &str = "x-forwarded-port";
    /// What the client is called by proxies that believe it; never believed from an untrusted peer.
    pub const X_REAL_IP: &str = "x-real-ip";
    /// RFC 7239.
    pub const FORWARDED: &str = "forwarded";
    /// Opens the admin server's pages that are not for everybody.
    pub const TOKEN: &str = "svcmesh-token";
    /// The endpoint's address, for Envoy's clusters of the type `ORIGINAL_DST` (`use_http_header`).
    pub const ORIGINAL_DST_HOST: &str = "x-envoy-original-dst-host";
    /// The endpoint's address, for Envoy's policy `override_host`.
    pub const OVERRIDE_HOST: &str = "x-svcmesh-endpoint";
    /// Which Service a request was for and which endpoint it went to, where Envoy's filter is asked to tell: `shop/web; endpoint=10.1.0.1:8080`.
    pub const ROUTE: &str = "x-svcmesh-route";
    /// The cluster of the Service port, for Envoy's routes by `cluster_header`.
    pub const CLUSTER: &str = "x-svcmesh-cluster";
    /// RFC 9209: whose fault a failure is.
    pub const PROXY_STATUS: &str = "proxy-status";
}

/// Metric families at `/metrics`, after [`metric::PREFIX`] and `_`. OpenMetrics adds `_total` to the samples of counters.
pub mod metric {
    /// What all of them begin with.
    pub const PREFIX: &str = "svcmesh";
    /// Counter by `direction`, `service`, `endpoint`, `protocol`, `code` and `grpc_status`.
    pub const REQUESTS: &str = "requests";
    /// Histogram by `direction`, `service`, `endpoint` and `protocol`.
    pub const REQUEST_DURATION_SECONDS: &str = "request_duration_seconds";
    /// Gauge by `direction`, `service` and `endpoint`.
    pub const CONNECTIONS_OPEN: &str = "connections_open";
    /// Counter by `direction`, `service` and `endpoint`.
    pub const CONNECTIONS_OPENED: &str = "connections_opened";
    /// Counter by `direction`, `service`, `endpoint` and `reason`.
    pub const CONNECTIONS_CLOSED: &str = "connections_closed";
    /// Gauge: what `--max-connections` limits.
    pub const CLIENT_CONNECTIONS_OPEN: &str = "client_connections_open";
    /// Counter by `direction`, `service`, `endpoint` and `flow`.
    pub const BYTES: &str = "bytes";
    /// Counter by `service` and `code`, the two letters of the access log.
    pub const FAILURES: &str = "failures";
    /// Counter by `reason`, the code of the failure that made it necessary.
    pub const RETRIES: &str = "retries";
    /// Counter.
    pub const RETRY_BUDGET_EXHAUSTED: &str = "retry_budget_exhausted";
    /// Gauge: clients pinned to an endpoint.
    pub const AFFINITY_ENTRIES: &str = "affinity_entries";
    /// Gauge.
    pub const UDP_FLOWS: &str = "udp_flows";
    /// Counter by `direction` and `flow`.
    pub const UDP_DATAGRAMS_RECEIVED: &str = "udp_datagrams_received";
    /// Counter by `direction` and `flow`.
    pub const UDP_DATAGRAMS_FORWARDED: &str = "udp_datagrams_forwarded";
    /// Counter by `direction`, `flow` and `reason`.
    pub const UDP_DATAGRAMS_DROPPED: &str = "udp_datagrams_dropped";
    /// Gauge by `service` and `state`.
    pub const ENDPOINTS: &str = "endpoints";
    /// Counter by `service` and `reason`.
    pub const EJECTIONS: &str = "ejections";
    /// Counter by `source` and `result`.
    pub const DISCOVERY_UPDATES: &str = "discovery_updates";
    /// Counter by `direction` and `kind`.
    pub const TLS_HANDSHAKES: &str = "tls_handshakes";
    /// Counter by `result`.
    pub const CERTIFICATE_RELOADS: &str = "certificate_reloads";
    /// Counter by `result`.
    pub const DNS_LOOKUPS: &str = "dns_lookups";
    /// Counter.
    pub const DNS_STALE_ANSWERS: &str = "dns_stale_answers";
    /// Gauge.
    pub const SNAPSHOT_AGE_SECONDS: &str = "snapshot_age_seconds";
    /// Gauge: what clients make the process hold.
    pub const MEMORY_HELD_BYTES: &str = "memory_held_bytes";
    /// Gauge: what `--memory-max` says.
    pub const MEMORY_MAX_BYTES: &str = "memory_max_bytes";
    /// Counter by `kind`.
    pub const FLOODS: &str = "floods";
    /// Counter by `result`.
    pub const PROXY_HEADERS: &str = "proxy_header";
    /// Counter.
    pub const DETECT_TIMEOUTS: &str = "detect_timeouts";
    /// Counter.
    pub const PASSED_THROUGH: &str = "passed_through";
    /// Counter: responses.
    pub const INTERIM_DROPPED: &str = "interim_responses_dropped";
    /// Counter: responses.
    pub const BARE_LINE_FEEDS: &str = "bare_line_feeds";
    /// Counter: lines.
    pub const ACCESS_LOG_DROPPED: &str = "access_log_dropped";
    /// Counter: lines of the log on stderr, by `reason`: `queue` where nobody took them in time, `rate` where there were too many of a kind.
    pub const LOG_DROPPED: &str = "log_dropped";
    /// Counter: connections that could not be accepted, for want of descriptors as a rule; they are tried again.
    pub const ACCEPT_FAILURES: &str = "accept_failures";
    /// Always 1, by `version`.
    pub const BUILD_INFO: &str = "build_info";

    /// Of the process, under the names that all exporters of Prometheus use: without [`PREFIX`].
    pub mod process {
        /// Counter, in seconds.
        pub const CPU_SECONDS: &str = "process_cpu_seconds";
        /// Gauge, in seconds since 1970.
        pub const START_TIME_SECONDS: &str = "process_start_time_seconds";
        /// Gauge, in bytes.
        pub const RESIDENT_MEMORY_BYTES: &str = "process_resident_memory_bytes";
        /// Gauge, in bytes.
        pub const VIRTUAL_MEMORY_BYTES: &str = "process_virtual_memory_bytes";
        /// Gauge.
        pub const OPEN_FDS: &str = "process_open_fds";
        /// Gauge.
        pub const MAX_FDS: &str = "process_max_fds";
    }
}

/// Marks of packets (`SO_MARK`) in the namespace of a pod that lets the sidecar set them. They do not leave it.
pub mod mark {
    /// From the sidecar, to elsewhere.
    pub const OWN: u32 = 0x7376_0001;
    /// From the sidecar, to a client whose connection to the pod it has taken in.
    pub const CLIENT: u32 = 0x7376_0002;
    /// From the sidecar, to the application, from the address of a client.
    pub const APPLICATION: u32 = 0x7376_0003;
    /// From the application to that client: they go to the sidecar instead.
    pub const HOMEWARD: u32 = 0x7376_0004;
}

/// The number of the routing table for packets that go to the sidecar whatever their destination, and the priority of its rule.
pub const ROUTE_TABLE: u32 = 7376;

/// The value prefix of everything that names this proxy (`Via`, `Proxy-Status`).
pub const PROXY_NAME: &str = "svcmesh";
