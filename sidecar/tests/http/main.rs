//! HTTP to the letter, through the built binary: what an endpoint sees of what a client sends, byte by byte, and the other
//! way round. Clients and backends are raw sockets, so that they can say what no library would; no other program is needed.

#[path = "../support/mod.rs"]
mod support;

mod backend;
mod http2;
mod table;
mod wire;
mod world;

mod affinity;
mod answers;
mod attempts;
mod balance;
mod budget;
mod cuts;
mod deadlines;
mod detected;
mod draining;
mod early;
mod external;
mod fairness;
mod forwarding;
mod framing;
mod gateway;
mod half_closed;
mod health;
mod hops;
mod hostile;
mod introduction;
mod limits;
mod long_lived;
mod loops;
mod malformed;
mod memory;
mod outcomes;
mod pauses;
mod proxied;
mod races;
mod refusals;
mod replay;
mod resets;
mod responses;
mod silence;
mod slow;
mod stalled;
mod streams;
mod targets;
mod told;
mod topology;
mod upgrades;
mod versions;
mod websocket;
