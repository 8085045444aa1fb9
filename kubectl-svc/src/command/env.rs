//! `kubectl svc env [POD]`: the variables of Services that the kubelet gives to a container (S-12).

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde::Serialize;
use svc_core::discovery::env;
use svc_core::service::Service;

use crate::args::{ClusterArgs, EnvArgs};
use crate::cluster::{self, Cluster};
use crate::error::Error;
use crate::objects::{self, Scope};
use crate::output::{Answer, Format, document};

pub(crate) async fn run(args: &ClusterArgs, options: &EnvArgs) -> Result<Answer, Error> {
    let cluster = Box::pin(cluster::connect(args)).await?;
    let links = match &options.pod {
        Some(pod) => Box::pin(service_links(&cluster, pod)).await?,
        None => true,
    };
    let mut services = Vec::new();
    let mut warnings = Vec::new();
    for scope in scopes(&cluster.namespace) {
        match Box::pin(objects::list(&cluster, &scope)).await {
            Ok(objects) => {
                let facts = objects::read(&objects);
                services.extend(facts.table.entries().map(|entry| entry.service.clone()));
                warnings.extend(facts.warnings);
            }
            Err(error) if scope.fields.is_some() => {
                warnings.push(format!("the variables of default/kubernetes are missing: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    services.sort_by(|a, b| a.name.cmp(&b.name));
    let services = services.iter().map(|service| &**service);
    let variables = Variables::of(services, &cluster.namespace, links);
    warnings.extend(variables.warning());
    Ok(Answer { text: variables.text(options.output.output)?, warnings, ..Answer::default() })
}

/// The Services of the namespace, and the API server's own, which every pod is told of.
fn scopes(namespace: &str) -> Vec<Scope> {
    let own = Scope { namespace: Some(namespace.to_owned()), ..Scope::default() };
    let master = Scope {
        namespace: Some("default".to_owned()),
        fields: Some("metadata.name=kubernetes".to_owned()),
        service: Some("kubernetes".to_owned()),
        ..Scope::default()
    };
    if namespace == "default" { vec![own] } else { vec![own, master] }
}

/// The pod's `enableServiceLinks`.
async fn service_links(cluster: &Cluster, name: &str) -> Result<bool, Error> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let pod =
        pods.get(name).await.map_err(|error| Error::request(&error, "pods", Some(&cluster.namespace)))?;
    Ok(pod.spec.and_then(|spec| spec.enable_service_links).unwrap_or(true))
}

/// Variables of a container.
#[derive(Debug, Serialize)]
struct Variables {
    /// How many there are.
    count: usize,
    /// Their size in the space that the kernel gives to a new program, terminators and pointers included.
    bytes: usize,
    variables: Vec<Variable>,
}

#[derive(Debug, Serialize)]
struct Variable {
    name: String,
    value: String,
}

impl Variables {
    fn of<'a>(services: impl IntoIterator<Item = &'a Service>, namespace: &str, links: bool) -> Variables {
        let pairs = env::generate(services, namespace, links);
        let variables: Vec<Variable> =
            pairs.into_iter().map(|(name, value)| Variable { name, value }).collect();
        let size = |variable: &Variable| variable.name.len() + variable.value.len() + "=\0".len() + POINTER;
        Variables { count: variables.len(), bytes: variables.iter().map(size).sum(), variables }
    }

    fn text(&self, format: Format) -> Result<String, Error> {
        match format {
            Format::Json | Format::Yaml => document(format, self),
            Format::Name => Ok(self.lines(|variable| variable.name.clone())),
            Format::Table | Format::Wide => {
                Ok(self.lines(|variable| format!("{}={}", variable.name, variable.value)))
            }
        }
    }

    fn lines(&self, line: impl Fn(&Variable) -> String) -> String {
        self.variables.iter().map(|variable| line(variable) + "\n").collect()
    }

    fn warning(&self) -> Option<String> {
        (self.bytes > SPACE / 2).then(|| {
            format!(
                "{} variables take {} KiB of the {} KiB that arguments and environment may take: a program that starts others may fail \
                 with E2BIG; enableServiceLinks: false in the pod leaves them out",
                self.count,
                self.bytes / 1024,
                SPACE / 1024
            )
        })
    }
}

/// A pointer to each variable counts too (execve(2)).
const POINTER: usize = 8;

/// A quarter of the usual stack limit of 8 MiB (execve(2)).
const SPACE: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use svc_core::address::ServiceName;
    use svc_core::service::Port;

    use super::*;

    fn services(count: usize) -> Vec<Service> {
        let service = |number: usize| {
            let name = ServiceName::new("shop", format!("service-{number}").as_str());
            let address = "10.96.0.1".parse().expect("an address");
            Service { cluster_ips: vec![address], ..Service::plain(name, vec![Port::unnamed(80)]) }
        };
        (0..count).map(service).collect()
    }

    #[test]
    fn variables_are_counted_as_the_kernel_counts_them() {
        let variables = Variables::of(&services(1), "shop", true);
        assert_eq!((variables.count, variables.warning()), (7, None));
        let text = variables.text(Format::Table).expect("a text");
        assert!(text.starts_with("SERVICE_0_SERVICE_HOST=10.96.0.1\n"), "{text}");
        assert_eq!(variables.bytes, text.len() + 7 * 8);
        assert_eq!(Variables::of(&services(1), "shop", false).count, 0);
    }

    #[test]
    fn half_of_the_space_is_worth_a_warning() {
        let warning = Variables::of(&services(5000), "shop", true).warning().expect("it is much");
        assert!(warning.contains("E2BIG"), "{warning}");
    }
}
