//! The ConfigMaps and Secrets that a pod refers to.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret};
use kube::{Api, Client};

use super::Result;

type Data = BTreeMap<String, Vec<u8>>;

/// Those that are there, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    pub(crate) config_maps: BTreeMap<String, Data>,
    pub(crate) secrets: BTreeMap<String, Data>,
}

impl Objects {
    /// Asks for all that `pod` names.
    pub(crate) async fn fetch(client: &Client, pod: &Pod) -> Result<Objects> {
        let named = Named::of(pod);
        let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
        let mut objects = Objects::default();
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        for name in named.config_maps {
            if let Some(found) = api.get_opt(name).await? {
                let texts = found.data.into_iter().flatten().map(|(key, text)| (key, text.into_bytes()));
                let binary = found.binary_data.into_iter().flatten().map(|(key, bytes)| (key, bytes.0));
                objects.config_maps.insert(name.to_owned(), texts.chain(binary).collect());
            }
        }
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        for name in named.secrets {
            if let Some(found) = api.get_opt(name).await? {
                let data = found.data.into_iter().flatten().map(|(key, bytes)| (key, bytes.0));
                objects.secrets.insert(name.to_owned(), data.collect());
            }
        }
        Ok(objects)
    }

    pub(crate) fn config_map(&self, name: &str, optional: Option<bool>) -> Result<Option<&Data>> {
        found(self.config_maps.get(name), "configmap", name, optional)
    }

    pub(crate) fn secret(&self, name: &str, optional: Option<bool>) -> Result<Option<&Data>> {
        found(self.secrets.get(name), "secret", name, optional)
    }
}

fn found<'a>(
    data: Option<&'a Data>,
    kind: &str,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a Data>> {
    match data {
        None if optional != Some(true) => Err(format!("{kind} {name:?} not found").into()),
        data => Ok(data),
    }
}

#[derive(Default)]
struct Named<'a> {
    config_maps: BTreeSet<&'a str>,
    secrets: BTreeSet<&'a str>,
}

impl<'a> Named<'a> {
    fn of(pod: &'a Pod) -> Named<'a> {
        let mut named = Named::default();
        let Some(spec) = &pod.spec else { return named };
        spec.init_containers
            .iter()
            .flatten()
            .chain(&spec.containers)
            .for_each(|container| named.env(container));
        for volume in spec.volumes.iter().flatten() {
            named.config_maps.extend(volume.config_map.iter().map(|from| from.name.as_str()));
            named.secrets.extend(volume.secret.iter().filter_map(|from| from.secret_name.as_deref()));
            let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
            for source in projected {
                named.config_maps.extend(source.config_map.iter().map(|from| from.name.as_str()));
                named.secrets.extend(source.secret.iter().map(|from| from.name.as_str()));
            }
        }
        named
    }

    fn env(&mut self, container: &'a Container) {
        for source in container.env_from.iter().flatten() {
            self.config_maps.extend(source.config_map_ref.iter().map(|from| from.name.as_str()));
            self.secrets.extend(source.secret_ref.iter().map(|from| from.name.as_str()));
        }
        for from in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            self.config_maps.extend(from.config_map_key_ref.iter().map(|from| from.name.as_str()));
            self.secrets.extend(from.secret_key_ref.iter().map(|from| from.name.as_str()));
        }
    }
}
