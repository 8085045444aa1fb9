//! What the commands say of themselves.

/// A command with its help.
pub(crate) struct Help {
    pub(crate) command: &'static str,
    pub(crate) text: &'static str,
}

/// All commands.
pub(crate) const ALL: [Help; 8] = [
    Help {
        command: "test",
        text: "\
cargo xtask test [--strict] [GROUP…]

Runs the checks. Groups, in this order (all of them when none is named):
  lint    format, clippy, documentation, dependencies
  unit    tests that need only this machine
  net     real peers in network namespaces; needs root
  dns     real name servers; needs root
  envoy   the filter in a real Envoy
  fuzz    replays the corpora; sends generated request streams between recording peers; searches for new inputs where
          cargo-fuzz and a nightly toolchain are installed
  cluster a real API server (KUBEBUILDER_ASSETS, else built from Debian's sources, once, in 4 to 10 minutes), and pods
          as containers; needs root

One more is of no run that does not name it:
  quick   after every change, in a minute or two: format, clippy, and the unit tests of all packages

Each test has a time-out (.config/nextest.toml); one that took long is named with its time. `cargo test` runs the same
tests without.

Each group installs what it needs, or says why it cannot run. Of a step that failed only what failed is shown; the
failed and the skipped steps are named at the end, with the time and the CPU time of each group; the last line is
`N passed, N failed, N skipped`.

  --strict    a check that could not run has failed (CI)
",
    },
    Help {
        command: "demo",
        text: "\
cargo xtask demo [--once] [--release]

Builds the sidecar and lets it show what it does, with a few backends of its own and curl.

  --once      takes the tour and exits: 0 when each line showed what it should
  --release   builds it as it is shipped, which takes minutes
",
    },
    Help {
        command: "cluster",
        text: "\
cargo xtask cluster up | down | status | restart-apiserver | tour

A Kubernetes cluster on this machine, to try things with kubectl. Needs root, and kubectl for all but `up` and `down`.

  up                 etcd, API server, controllers (built from Debian's sources, once, in 4 to 10 minutes, unless
                     KUBEBUILDER_ASSETS names them), two nodes, cluster DNS; pods are containers of runc. Images:
                     busybox, nginx, sidecar. Prints where its kubeconfig is
  down               ends it with all of its pods
  status             prints nodes, pods and Services; exit code 1: it does not run
  restart-apiserver  kills the API server and starts it over the same data
  tour               shows a client with a sidecar while its Service is scaled, rolled and emptied
",
    },
    Help {
        command: "bench",
        text: "\
cargo xtask bench [SCENARIO…] [scale] [envoy] [api] [--peers NAME,…] [--rounds N] [--seconds N] [--watchers N,…]

CPU per request and memory, beside HAProxy and nginx. Needs root.

  SCENARIO    A B AR D1 E F FK idle conn (all of them when nothing is named)
  scale       what 10,000 Services × 100 endpoints cost, each figure against its bound
  envoy       what the filter adds to a request in Envoy, beside filters that do less, and Lua
  api         what watching 2,000 Services costs a real API server and the sidecar, beside clients of all slices
  --peers     sidecar haproxy nginx (all of them)
  --rounds    turns of each peer (3)
  --seconds   the length of a turn (4)
  --watchers  of `api`: how many there are at once (1,50,300)
",
    },
    Help {
        command: "wasm",
        text: "\
cargo xtask wasm [--oci FOLDER]

Builds the filter for Envoy, and holds it to its size.

  --oci   also writes it as an OCI image into FOLDER
",
    },
    Help {
        command: "layers",
        text: "\
cargo xtask layers [--uses] [core] [sidecar]

Prints the modules that use one above them, and circles of files. The order is a table in xtask/src/layers/order.rs.
Refused are upward uses, circles of more than three files, and circles that are not within one top-level module.

  --uses      also prints a line for each module, with the modules that it uses
",
    },
    Help {
        command: "names",
        text: "\
cargo xtask names

Prints the names of types that two modules or more define, and the share that they are of all names.
",
    },
    Help {
        command: "tools",
        text: "\
cargo xtask tools

Installs everything that the other commands need.
",
    },
];

/// The help of one command, if there is such a command.
pub(crate) fn of(command: &str) -> Option<&'static str> {
    ALL.iter().find(|help| help.command == command).map(|help| help.text)
}

/// The commands, each with its first line and its first sentence.
pub(crate) fn all() -> String {
    let mut text = "The project's own commands.\n\n".to_owned();
    for help in &ALL {
        let mut paragraphs = help.text.split("\n\n");
        let usage = paragraphs.next().unwrap_or_default();
        let what = paragraphs.next().and_then(|what| what.lines().next()).unwrap_or_default();
        text +=
            &format!("  {usage}\n      {}\n", what.split_inclusive(". ").next().unwrap_or(what).trim_end());
    }
    text + "\n`cargo xtask COMMAND --help` tells more.\n"
}

/// Whether the words of a command ask for its help.
pub(crate) fn is_wanted(words: &[&str]) -> bool {
    words.iter().any(|word| matches!(*word, "--help" | "-h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_tells_how_it_is_called_and_what_it_does() {
        let all = all();
        for Help { command, text } in &ALL {
            assert!(text.starts_with(&format!("cargo xtask {command}")), "{text}");
            assert!(all.contains(&format!("cargo xtask {command}")), "{all}");
            assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
            assert_eq!(of(command), Some(*text));
        }
        assert!(all.contains("\n      Runs the checks.\n"), "{all}");
    }

    #[test]
    fn help_is_wanted_wherever_it_is_asked_for() {
        assert!(is_wanted(&["scale", "--help"]) && is_wanted(&["-h"]));
        assert!(!is_wanted(&["--strict", "lint"]));
    }
}
