//! Loopback VIPs that this process listens at.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use svc_core::address::Transport;

/// A port of a loopback VIP.
pub(crate) type Vip = (Transport, SocketAddr);

/// How many sockets this process has at each loopback VIP.
pub(crate) type VipClaims = Mutex<BTreeMap<Vip, usize>>;
