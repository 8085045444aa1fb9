//! Which ports the demo uses: the ones people remember where they are free, any free ones elsewhere.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Every port of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DemoPorts {
    /// What Services listen on.
    pub(super) http: u16,
    pub(super) admin: u16,
    pub(super) lines: u16,
    /// What their pods listen on.
    pub(super) pod_http: u16,
    pub(super) pod_admin: u16,
    pub(super) pod_lines: u16,
    /// What the sidecar listens on itself.
    pub(super) forward_proxy: u16,
    pub(super) pages: u16,
}

impl DemoPorts {
    /// Chooses ports that nobody has, on any local address.
    pub(super) fn choose() -> io::Result<DemoPorts> {
        let mut held = Vec::new(); // until all are chosen, so that they differ
        let mut free = |preferred| {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, preferred))
                .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
            let port = listener.local_addr()?.port();
            held.push(listener);
            io::Result::Ok(port)
        };
        Ok(DemoPorts {
            http: free(8080)?,
            admin: free(9090)?,
            lines: free(7070)?,
            pod_http: free(8081)?,
            pod_admin: free(9091)?,
            pod_lines: free(7071)?,
            forward_proxy: free(15002)?,
            pages: free(15020)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_not_chosen() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = DemoPorts::choose().unwrap();
        let chosen = [ports.http, ports.admin, ports.lines, ports.pod_http, ports.pod_admin, ports.pod_lines];
        assert!(!chosen.contains(&taken.local_addr().unwrap().port()));
        assert!(chosen.iter().all(|port| chosen.iter().filter(|other| *other == port).count() == 1));
    }
}
