//! The command line, with kubectl's names for kubectl's things.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Arguments, Parser, Subcommand};
use svc_core::duration;

use crate::output::Format;

/// Services and their endpoints, as clients find them. Only reads.
#[derive(Debug, Parser)]
#[command(name = "kubectl svc", bin_name = "kubectl svc", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 success; 1 error; 2 mistake on the command line; 3 `check` has found errors.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(about = "List Services with their ready endpoints", after_help = LIST_EXAMPLES)]
    List(ListArgs),
    #[command(about = "List the endpoints of a Service, with their pods and states", after_help = ENDPOINTS_EXAMPLES)]
    Endpoints(EndpointsArgs),
    #[command(about = "Print the variables of Services that the kubelet gives to a container", after_help = ENV_EXAMPLES)]
    Env(EnvArgs),
    #[command(about = "Find faults and traps of Services", after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
}

/// Flags that name the cluster and the user.
#[derive(Debug, Arguments)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// The namespace; the context's by default
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// The kubeconfig file; otherwise $KUBECONFIG, then ~/.kube/config, then the pod's service account
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The cluster of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// The user of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The user to impersonate
    #[arg(long = "as", global = true, value_name = "USER")]
    pub(crate) impersonate: Option<String>,
    /// A group to impersonate; may be given several times
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "impersonate")]
    pub(crate) impersonate_groups: Vec<String>,
    /// How long a request may take: 5s, 1m; 0 is for ever
    #[arg(long, global = true, value_name = "DURATION", default_value = "0", value_parser = timeout)]
    pub(crate) request_timeout: Duration,
}

/// Flags of the output.
#[derive(Debug, Arguments)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) output: Format,
    /// Leave out the head of the table
    #[arg(long)]
    pub(crate) no_headers: bool,
}

#[derive(Debug, Arguments)]
pub(crate) struct ListArgs {
    /// List all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Only Services with these labels: app=web,tier!=cache
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub(crate) selector: Option<String>,
    /// Only Services with these fields: metadata.name=web
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) field_selector: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Arguments)]
pub(crate) struct EndpointsArgs {
    /// The name of the Service
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Arguments)]
pub(crate) struct EnvArgs {
    /// The pod; without it, any pod of the namespace with service links
    pub(crate) pod: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Arguments)]
pub(crate) struct CheckArgs {
    /// Check all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

const LIST_EXAMPLES: &str = "Examples:
  kubectl svc list                              # of the namespace
  kubectl svc list -A -o wide                   # of all, with policies and zones by name
  kubectl svc list -l app=web -o json | jq '.services[].endpoints[] | select(.ready | not)'";

const ENDPOINTS_EXAMPLES: &str = "Examples:
  kubectl svc endpoints web                     # addresses, pods, zones, states
  kubectl svc endpoints web -n shop -o wide     # with nodes and hints
  kubectl svc endpoints web --no-headers | grep -c Ready";

const ENV_EXAMPLES: &str = "Examples:
  kubectl svc env                               # a pod of the namespace
  kubectl svc env web-0 -n shop                 # this pod: it may have enableServiceLinks: false
  kubectl svc env -o json | jq .bytes";

const CHECK_EXAMPLES: &str = "Examples:
  kubectl svc check                             # the Services of the namespace
  kubectl svc check -A -o wide                  # of all, with a remedy for each finding
  kubectl svc check -o json | jq '.findings[] | select(.severity == \"error\")'";

/// kubectl's `--request-timeout`: a lone number is of seconds, 0 is no limit.
fn timeout(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
    seconds.or_else(|| duration::parse(text)).ok_or("expected a duration such as 5s or 1m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_duration_or_a_number_of_seconds() {
        assert_eq!(timeout("0"), Ok(Duration::ZERO));
        assert_eq!(timeout("5"), Ok(Duration::from_secs(5)));
        assert_eq!(timeout("1m"), Ok(Duration::from_secs(60)));
        assert!(timeout("soon").is_err());
    }
}
