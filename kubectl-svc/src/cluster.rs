//! The API server that the flags and the kubeconfig name.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use svc_core::duration;

use crate::args::ClusterArgs;
use crate::error::{Error, with_causes};

/// A client, and the namespace that names are looked up in.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// Reads the kubeconfig; nothing is connected yet.
pub(crate) async fn connect(args: &ClusterArgs) -> Result<Cluster, Error> {
    let mut config = Box::pin(config(args)).await?;
    config.auth_info.impersonate.clone_from(&args.impersonate);
    if !args.impersonate_groups.is_empty() {
        config.auth_info.impersonate_groups = Some(args.impersonate_groups.clone());
    }
    config.read_timeout = timeout(&args.request_timeout)?;
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config)
        .map_err(|error| Error::new(format!("cannot set up a client: {}", with_causes(&error))))?;
    Ok(Cluster { client, namespace })
}

async fn config(args: &ClusterArgs) -> Result<Config, Error> {
    let options = KubeConfigOptions {
        context: args.context.clone(),
        cluster: args.cluster.clone(),
        user: args.user.clone(),
    };
    let failed = |what: &str, error: &dyn std::error::Error| {
        Error::new(format!("{what}: {}", with_causes(error)))
            .hint("`kubectl config get-contexts` lists what there is")
    };
    let kubeconfig = match &args.kubeconfig {
        Some(file) => Kubeconfig::read_from(file)
            .map_err(|error| failed(&format!("cannot read `{}`", file.display()), &error))?,
        None => match Kubeconfig::read() {
            Ok(kubeconfig) => kubeconfig,
            Err(error) => {
                return Config::incluster().map_err(|_| failed("cannot read the kubeconfig", &error));
            }
        },
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.map_err(|error| failed("cannot use the kubeconfig", &error))
}

/// kubectl's `--request-timeout`: a lone number is of seconds, 0 is no limit.
fn timeout(text: &str) -> Result<Option<Duration>, Error> {
    let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
    let limit = seconds.or_else(|| duration::parse(text)).ok_or_else(|| {
        Error::new(format!(
            "invalid value `{text}` for --request-timeout: expected a duration such as 5s or 1m"
        ))
    })?;
    Ok(Some(limit).filter(|limit| !limit.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_duration_or_a_number_of_seconds() {
        assert_eq!(timeout("0").unwrap(), None);
        assert_eq!(timeout("5").unwrap(), Some(Duration::from_secs(5)));
        assert_eq!(timeout("1m").unwrap(), Some(Duration::from_secs(60)));
        assert!(timeout("soon").is_err());
    }
}
