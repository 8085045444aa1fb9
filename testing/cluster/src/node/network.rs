//! The pods' network: a namespace and an address of each family per pod, routed by the node.
//!
//! There is no bridge: each pod has a point-to-point link to the node, so that all of its packets pass the node's rules for cluster IPs.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Stdio;
use std::sync::Mutex;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use super::Result;

/// The node's own address, where its kubelet and its name server listen.
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// The same of the other family.
const NODE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 0x244, 0, 0, 0, 0, 1);
/// What pods send their packets to.
const GATEWAY: &str = "169.254.1.1";
const GATEWAY_V6: &str = "fe80::1";

/// The addresses of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    number: u16,
}

impl Addresses {
    pub(crate) fn v4(self) -> Ipv4Addr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(10, 244, high, low)
    }

    pub(crate) fn v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x10, 0x244, 0, 0, 0, 0, self.number)
    }

    pub(crate) fn all(self) -> Vec<IpAddr> {
        vec![self.v4().into(), self.v6().into()]
    }
}

/// Hands out addresses in turn, so that one that was let go is not another pod's at once.
#[derive(Default)]
pub(crate) struct Allocator {
    state: Mutex<(u16, BTreeSet<u16>)>,
}

impl Allocator {
    pub(crate) fn take(&self) -> Result<Addresses> {
        let mut state = self.state.lock().map_err(|_| "a pod's task has panicked")?;
        let (last, taken) = &mut *state;
        for _ in FIRST..=LAST {
            *last = if *last >= LAST || *last < FIRST { FIRST } else { *last + 1 };
            if taken.insert(*last) {
                return Ok(Addresses { number: *last });
            }
        }
        Err("all pod addresses are taken".into())
    }

    pub(crate) fn give_back(&self, addresses: Addresses) {
        if let Ok(mut state) = self.state.lock() {
            state.1.remove(&addresses.number);
        }
    }
}

/// 10.244.0.2 to 10.244.15.255: more than one machine runs.
const FIRST: u16 = 2;
const LAST: u16 = 0x0fff;

/// Makes the namespace of the caller a node: its addresses, and forwarding.
pub(crate) async fn start() -> Result<()> {
    let script = format!(
        "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
         echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
         ip link set lo up; ip addr replace {NODE}/32 dev lo; ip addr replace {NODE_V6}/128 dev lo nodad
         ip route replace unreachable 10.244.0.0/16; ip route replace unreachable 10.96.0.0/12"
    );
    run(Command::new("sh").args(["-ec", &script]), "").await
}

/// The process that holds the namespaces of a pod, and its link to the node. All of it is gone when it is dropped.
pub(crate) struct Sandbox {
    process: Child,
    pub(crate) pid: u32,
}

impl Sandbox {
    pub(crate) async fn start(addresses: Addresses) -> Result<Sandbox> {
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig=KILL",
            "unshare",
            "--net",
            "--ipc",
            "sh",
            "-c",
            "echo; exec sleep infinity",
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().map_err(|error| format!("cannot start a sandbox: {error}"))?;
        let pid = process.id().ok_or("a sandbox ended at once")?;
        if let Some(mut output) = process.stdout.take() {
            let mut line = [0]; // it tells that it has its namespaces
            tokio::io::AsyncReadExt::read_exact(&mut output, &mut line).await?;
        }
        connect(pid, addresses).await?;
        Ok(Sandbox { process, pid })
    }

    pub(crate) async fn stop(mut self) {
        let _gone = self.process.kill().await;
    }
}

async fn connect(pid: u32, addresses: Addresses) -> Result<()> {
    let (v4, v6) = (addresses.v4(), addresses.v6());
    let link = format!("pod{}", addresses.number);
    let outside = format!(
        "link add {link} type veth peer name eth0 netns {pid}
addr add {GATEWAY}/32 dev {link}
link set {link} up
addr add {GATEWAY_V6}/64 dev {link} nodad
route replace {v4}/32 dev {link} src {NODE}
route replace {v6}/128 dev {link} src {NODE_V6}
"
    );
    run(Command::new("ip").args(["-batch", "-"]), &outside).await?;
    let inside = format!(
        "link set lo up
link set eth0 up
addr add {v4}/32 dev eth0
addr add {v6}/128 dev eth0 nodad
route add {GATEWAY} dev eth0 scope link
route add default via {GATEWAY} dev eth0
route add default via {GATEWAY_V6} dev eth0
"
    );
    let quick =
        "echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad";
    let mut enter = Command::new("nsenter");
    enter.arg(format!("--net=/proc/{pid}/ns/net")).args(["sh", "-ec", &format!("{quick}; ip -batch -")]);
    run(&mut enter, &inside).await
}

/// Runs a command to its end with that input.
pub(crate) async fn run(command: &mut Command, input: &str) -> Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if let Some(mut stdin) = process.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = process.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_was_let_go_is_not_given_out_at_once() {
        let allocator = Allocator::default();
        let first = allocator.take().unwrap();
        assert_eq!(first.v4(), Ipv4Addr::new(10, 244, 0, 2));
        assert_eq!(first.v6().to_string(), "fd00:10:244::2");
        allocator.give_back(first);
        assert_ne!(allocator.take().unwrap(), first);
    }

    #[test]
    fn all_addresses_are_given_out_once() {
        let allocator = Allocator::default();
        let all: BTreeSet<Ipv4Addr> = (FIRST..=LAST).map(|_| allocator.take().unwrap().v4()).collect();
        assert_eq!(all.len(), usize::from(LAST - FIRST) + 1);
        assert!(allocator.take().is_err());
        allocator.give_back(Addresses { number: 300 });
        assert_eq!(allocator.take().unwrap().v4(), Ipv4Addr::new(10, 244, 1, 44));
    }
}
