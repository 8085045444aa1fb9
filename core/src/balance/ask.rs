//! Who asks for an endpoint, and among whom.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr};

use super::Tried;
use crate::address::EndpointAddr;
use crate::endpoints::{Endpoint, EndpointId};
use crate::service::Service;
use crate::stats::EndpointStats;

/// An endpoint that may be picked, as far as picking needs to know it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its identity across updates.
    pub id: EndpointId,
    /// Where it listens.
    pub addr: EndpointAddr,
    /// Its share beside the others; 0 gets nothing new.
    pub weight: u16,
    /// What all workers know of it.
    pub stats: Arc<EndpointStats>,
}

/// The members that `endpoints` are, in their order: that of their addresses, as
/// [`EndpointSet::usable`](crate::endpoints::EndpointSet::usable) gives them.
pub fn members(
    endpoints: &[Endpoint],
    mut stats: impl FnMut(EndpointId) -> Arc<EndpointStats>,
) -> Box<[Member]> {
    let member = |endpoint: &Endpoint| Member {
        id: endpoint.id,
        addr: endpoint.addr,
        weight: endpoint.weight,
        stats: stats(endpoint.id),
    };
    endpoints.iter().map(member).collect()
}

/// Who wants to go where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The client, as far as it can be believed.
    pub client: IpAddr,
    /// The address that the client opened its connection to, which is what `dh` hashes; of a request that names its Service, that
    /// Service's first cluster IP, and the unspecified address where it has none.
    pub destination: IpAddr,
}

impl Caller {
    /// Who sends a request that names its Service.
    pub fn of_request(client: IpAddr, service: &Service) -> Caller {
        let destination = service.cluster_ips.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Caller { client, destination }
    }
}

/// One question for an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who wants to go where.
    pub caller: Caller,
    /// Where it has failed already.
    pub tried: &'a Tried,
    /// Whether it could be sent again if the endpoint failed, so that it may find out whether an ejected one is well again.
    pub replayable: bool,
}

impl Ask<'_> {
    /// Whether `member` may be picked: the one place that says so, for all policies. Weight 0 gets nothing new.
    pub(super) fn admits(&self, member: &Member) -> bool {
        member.weight > 0 && !self.tried.contains(member.id)
    }
}
