//! The API server that the flags and the kubeconfig name.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

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
    if !args.request_timeout.is_zero() {
        (config.connect_timeout, config.read_timeout) =
            (Some(args.request_timeout), Some(args.request_timeout));
    }
    let named = args.namespace.clone().filter(|name| !name.is_empty()); // without a name, the path is that of all namespaces
    let namespace = named.unwrap_or_else(|| config.default_namespace.clone());
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
    let unknown = |name: &&String| !kubeconfig.auth_infos.iter().any(|user| user.name == **name);
    if let Some(name) = args.user.as_ref().filter(unknown) {
        return Err(Error::new(format!("cannot use the kubeconfig: no user `{name}`"))
            .hint("`kubectl config get-users` lists what there is"));
    }
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.map_err(|error| failed("cannot use the kubeconfig", &error))
}
