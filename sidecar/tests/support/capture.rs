//! What `sidecar init` will write: the rules that bring a pod's outbound connections to its sidecar.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// The user that the sidecar runs as, whose own connections are not captured.
pub(crate) const SIDECAR_USER: &str = "2102";

/// Redirects every TCP connection that leaves the namespace of the caller to the sidecar's `--outbound` port, over both
/// families, except the sidecar's own. Connections within the pod (to loopback addresses) stay as they are.
pub(crate) fn capture_output() {
    apply(&format!(
        "table inet svcmesh {{
           chain output {{
             type nat hook output priority -100;
             meta skuid {SIDECAR_USER} return
             ip daddr 127.0.0.0/8 return
             ip6 daddr ::1 return
             meta l4proto tcp redirect to :15001
           }}
         }}"
    ));
}

/// Redirects every TCP connection that comes to the namespace of the caller from elsewhere to the sidecar's `--inbound` port, except
/// those to its own listeners.
pub(crate) fn capture_input() {
    apply(
        "table inet svcmesh {
           chain prerouting {
             type nat hook prerouting priority -100;
             iif lo return
             tcp dport { 15006, 15020 } return
             meta l4proto tcp redirect to :15006
           }
         }",
    );
}

fn apply(rules: &str) {
    let mut nft =
        Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nftables is installed");
    let mut input = nft.stdin.take().expect("it was piped");
    input.write_all(rules.as_bytes()).expect("nft reads its rules");
    drop(input);
    assert!(nft.wait().expect("nft is our child").success(), "nft refused the rules");
}
