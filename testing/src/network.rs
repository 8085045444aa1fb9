//! A network of the test's own, where nothing else on the machine listens.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use nix::sched::{CloneFlags, unshare};

/// Moves the calling thread into a network namespace of its own, with nothing but the loopback interface, unless it is in one already.
///
/// Threads and processes that it starts from now on are in it too. Fixed addresses and ports are then free whatever runs on the
/// machine. Only root may do so: for others the test stays in the network of the machine, and can meet what listens there.
///
/// # Panics
/// There is no program `ip`.
pub fn enter_own_network() {
    static MACHINE: OnceLock<PathBuf> = OnceLock::new();
    let here = current();
    if MACHINE.get_or_init(|| here.clone()) != &here || unshare(CloneFlags::CLONE_NEWNET).is_err() {
        return;
    }
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(
        up.is_ok_and(|status| status.success()),
        "cannot bring the loopback interface up: install iproute2"
    );
}

/// The namespace of the calling thread, as the kernel numbers it.
fn current() -> PathBuf {
    fs::read_link("/proc/thread-self/ns/net").expect("every thread has a network namespace")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn a_port_that_another_process_has_is_free_in_the_tests_own_network() {
        let own = || {
            enter_own_network();
            let listener = TcpListener::bind("127.0.0.1:15020");
            let listener = listener.expect("nobody listens in a new namespace");
            enter_own_network(); // once is enough
            thread::spawn(enter_own_network).join().expect("it stays where its parent is");
            let again = TcpListener::bind("127.0.0.1:15020");
            (listener, again.is_err())
        };
        let Ok(()) = unshare_is_allowed() else { return };
        let (_first, taken) = thread::spawn(own).join().expect("it does not panic");
        let (_second, taken_too) = thread::spawn(own).join().expect("it does not panic");
        assert!(taken && taken_too, "the port is taken within each of the namespaces, and in no other");
    }

    /// Whether this user may make network namespaces.
    fn unshare_is_allowed() -> Result<(), nix::Error> {
        thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join().expect("it does not panic")
    }
}
