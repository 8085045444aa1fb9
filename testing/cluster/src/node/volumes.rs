//! Volumes: which files they hold, and where a container sees them.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, KeyToPath, Pod, ServiceAccountTokenProjection, Volume,
};

use super::fields::{self, Place};
use super::{Objects, Result};

/// One file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Within the volume.
    pub(crate) path: String,
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
}

/// What a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A folder of the pod's own; in memory where it says so.
    Empty { in_memory: bool },
    /// Files that are written before the first container starts.
    Files(Vec<File>),
    /// A path of this machine.
    Host { path: PathBuf, create: bool },
}

/// The content of a volume. `tokens` are those that were asked for, by audience.
pub(crate) fn content(
    volume: &Volume,
    pod: &Pod,
    place: &Place,
    objects: &Objects,
    tokens: &BTreeMap<String, String>,
) -> Result<Content> {
    if let Some(empty) = &volume.empty_dir {
        return Ok(Content::Empty { in_memory: empty.medium.as_deref() == Some("Memory") });
    }
    if let Some(host) = &volume.host_path {
        let create = host.type_.as_deref() == Some("DirectoryOrCreate");
        return Ok(Content::Host { path: PathBuf::from(&host.path), create });
    }
    let mut files = Files::default();
    if let Some(from) = &volume.config_map {
        files.mode = from.default_mode;
        files.keyed(objects.config_map(&from.name, from.optional)?, from.items.as_ref(), from.optional)?;
    } else if let Some(from) = &volume.secret {
        files.mode = from.default_mode;
        let name = from.secret_name.as_deref().unwrap_or_default();
        files.keyed(objects.secret(name, from.optional)?, from.items.as_ref(), from.optional)?;
    } else if let Some(from) = &volume.downward_api {
        files.mode = from.default_mode;
        files.fields(from.items.iter().flatten(), pod, place)?;
    } else if let Some(projected) = &volume.projected {
        files.mode = projected.default_mode;
        for source in projected.sources.iter().flatten() {
            if let Some(from) = &source.config_map {
                let map = objects.config_map(&from.name, from.optional)?;
                files.keyed(map, from.items.as_ref(), from.optional)?;
            } else if let Some(from) = &source.secret {
                let map = objects.secret(&from.name, from.optional)?;
                files.keyed(map, from.items.as_ref(), from.optional)?;
            } else if let Some(from) = &source.downward_api {
                files.fields(from.items.iter().flatten(), pod, place)?;
            } else if let Some(from) = &source.service_account_token {
                let token = tokens.get(from.audience.as_deref().unwrap_or_default());
                let token = token.ok_or("no token was asked for")?;
                files.push(&from.path, token.clone().into_bytes(), Some(TOKEN_MODE));
            } else {
                return Err(format!("the volume `{}` has a source of an unknown kind", volume.name).into());
            }
        }
    } else {
        return Err(format!("the volume `{}` is of a kind that this cluster has not", volume.name).into());
    }
    Ok(Content::Files(files.files))
}

/// The tokens that a pod's volumes ask for.
pub(crate) fn tokens(pod: &Pod) -> impl Iterator<Item = &ServiceAccountTokenProjection> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let projected = volumes.filter_map(|volume| volume.projected.as_ref());
    let sources = projected.flat_map(|projected| projected.sources.iter().flatten());
    sources.filter_map(|source| source.service_account_token.as_ref())
}

/// Readable for all users of the container. Kubelet narrows it to the one user where all containers have the same.
const TOKEN_MODE: i32 = 0o644;

/// Files as they are collected.
#[derive(Default)]
struct Files {
    files: Vec<File>,
    mode: Option<i32>,
}

impl Files {
    fn push(&mut self, path: &str, content: Vec<u8>, mode: Option<i32>) {
        let mode = mode.or(self.mode).unwrap_or(0o644);
        let mode = u32::try_from(mode).unwrap_or(0o644);
        self.files.push(File { path: path.to_owned(), content, mode });
    }

    /// All keys, or those that `items` names.
    fn keyed(
        &mut self,
        map: Option<&BTreeMap<String, Vec<u8>>>,
        items: Option<&Vec<KeyToPath>>,
        optional: Option<bool>,
    ) -> Result<()> {
        let Some(map) = map else { return Ok(()) };
        let Some(items) = items else {
            map.iter().for_each(|(key, value)| self.push(key, value.clone(), None));
            return Ok(());
        };
        for item in items {
            match map.get(&item.key) {
                Some(value) => self.push(&item.path, value.clone(), item.mode),
                None if optional == Some(true) => {}
                None => return Err(format!("references non-existent key: {}", item.key).into()),
            }
        }
        Ok(())
    }

    fn fields<'a>(
        &mut self,
        items: impl Iterator<Item = &'a DownwardAPIVolumeFile>,
        pod: &Pod,
        place: &Place,
    ) -> Result<()> {
        for item in items {
            let value = if let Some(selector) = &item.field_ref {
                fields::field(selector, pod, place)?
            } else if let Some(selector) = &item.resource_field_ref {
                let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
                let mut named =
                    containers.filter(|container| Some(&container.name) == selector.container_name.as_ref());
                fields::resource(selector, named.next().ok_or("a resource of an unknown container")?)?
            } else {
                String::new()
            };
            self.push(&item.path, value.into_bytes(), item.mode);
        }
        Ok(())
    }
}

/// A bind mount into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) source: PathBuf,
    pub(crate) destination: String,
    pub(crate) read_only: bool,
}

/// The mounts of a container; `sources` says where each volume lies on this machine.
pub(crate) fn mounts(
    container: &Container,
    sources: &BTreeMap<String, Source>,
    expand: impl Fn(&str) -> String,
) -> Result<Vec<Mount>> {
    let mounts = container.volume_mounts.iter().flatten().map(|mount| {
        let unknown = || format!("container `{}` mounts an unknown volume `{}`", container.name, mount.name);
        let source = sources.get(&mount.name).ok_or_else(unknown)?;
        let within = match (&mount.sub_path, &mount.sub_path_expr) {
            (_, Some(expression)) if !expression.is_empty() => expand(expression),
            (Some(path), _) => path.clone(),
            (None, _) => String::new(),
        };
        if within.split('/').any(|part| part == "..") {
            return Err(format!("the subPath `{within}` leads out of its volume").into());
        }
        let path = if within.is_empty() { source.path.clone() } else { source.path.join(within) };
        let read_only = mount.read_only == Some(true) || source.read_only;
        Ok(Mount { source: path, destination: mount.mount_path.clone(), read_only })
    });
    mounts.collect()
}

/// A volume on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// What comes from objects cannot be written by a container.
    pub(crate) read_only: bool,
}

/// Puts a volume into `folder`.
pub(crate) fn make(content: &Content, folder: &Path, group: Option<u32>) -> Result<Source> {
    let (path, read_only) = match content {
        Content::Host { path, create } => {
            if *create {
                fs::create_dir_all(path)?;
            }
            return Ok(Source { path: path.clone(), read_only: false });
        }
        Content::Empty { in_memory } => {
            fs::create_dir_all(folder)?;
            if *in_memory {
                let flags = rustix::mount::MountFlags::NOSUID | rustix::mount::MountFlags::NODEV;
                rustix::mount::mount(c"tmpfs", folder, c"tmpfs", flags, None)?;
            }
            fs::set_permissions(folder, Permissions::from_mode(0o777))?;
            if let Some(group) = group {
                chown(folder, None, Some(group))?;
                fs::set_permissions(folder, Permissions::from_mode(0o2777))?;
            }
            (folder.to_owned(), false)
        }
        Content::Files(files) => {
            fs::create_dir_all(folder)?;
            for file in files {
                write(folder, file, group)?;
            }
            (folder.to_owned(), true)
        }
    };
    Ok(Source { path, read_only })
}

fn write(folder: &Path, file: &File, group: Option<u32>) -> Result<()> {
    let path = folder.join(&file.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&path, &file.content)?;
    let mode = if group.is_some() { file.mode | 0o040 } else { file.mode };
    if group.is_some() {
        chown(&path, None, group)?;
    }
    fs::set_permissions(&path, Permissions::from_mode(mode))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn objects() -> Objects {
        let mut objects = Objects::default();
        let map = [("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())];
        objects.config_maps.insert("cm".to_owned(), map.clone().into_iter().collect());
        objects.secrets.insert("s".to_owned(), map.into_iter().collect());
        objects
    }

    fn files(volume: Value) -> Result<Vec<(String, String, u32)>> {
        let volume: Volume = serde_json::from_value(volume).unwrap();
        let pod: Pod = serde_json::from_value(json!({ "metadata": { "namespace": "shop" } })).unwrap();
        let tokens = [(String::new(), "t0".to_owned()), ("mesh".to_owned(), "t1".to_owned())].into();
        match content(&volume, &pod, &Place::default(), &objects(), &tokens)? {
            Content::Files(files) => {
                let text = |file: File| (file.path, String::from_utf8(file.content).unwrap(), file.mode);
                Ok(files.into_iter().map(text).collect())
            }
            other @ (Content::Empty { .. } | Content::Host { .. }) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_config_map_becomes_files_all_of_it_or_the_keys_that_are_named() {
        let all = files(json!({ "name": "v", "configMap": { "name": "cm" } })).unwrap();
        assert_eq!(all, [("a".into(), "1".into(), 0o644), ("b".into(), "2".into(), 0o644)]);
        let items = json!([{ "key": "b", "path": "sub/c", "mode": 0o400 }]);
        let some = files(json!({ "name": "v", "configMap": { "name": "cm", "items": items } })).unwrap();
        assert_eq!(some, [("sub/c".into(), "2".into(), 0o400)]);
        let none =
            json!({ "name": "v", "secret": { "secretName": "s", "items": [{ "key": "x", "path": "x" }] } });
        assert_eq!(files(none).unwrap_err().to_string(), "references non-existent key: x");
    }

    #[test]
    fn a_projected_volume_has_a_service_accounts_three_files() {
        let sources = json!([
            { "serviceAccountToken": { "path": "token", "audience": "mesh", "expirationSeconds": 600 } },
            { "configMap": { "name": "cm", "items": [{ "key": "a", "path": "ca.crt" }] } },
            { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": { "fieldPath": "metadata.namespace" } }] } },
        ]);
        let files = files(json!({ "name": "v", "projected": { "sources": sources } })).unwrap();
        assert_eq!(
            files,
            [
                ("token".into(), "t1".into(), 0o644),
                ("ca.crt".into(), "1".into(), 0o644),
                ("namespace".into(), "shop".into(), 0o644)
            ]
        );
    }

    #[test]
    fn a_missing_object_is_an_error_unless_it_is_optional() {
        let volume =
            |optional: bool| json!({ "name": "v", "configMap": { "name": "no", "optional": optional } });
        assert_eq!(files(volume(true)).unwrap(), []);
        assert_eq!(files(volume(false)).unwrap_err().to_string(), "configmap \"no\" not found");
    }

    #[test]
    fn a_mount_may_show_a_part_of_its_volume_and_never_leads_out_of_it() {
        let mounted = |mount: Value| {
            let container: Container =
                serde_json::from_value(json!({ "name": "c", "volumeMounts": [mount] })).unwrap();
            let source = Source { path: "/v".into(), read_only: false };
            mounts(&container, &[("v".to_owned(), source)].into(), |text| text.replace("$(X)", "x"))
        };
        let expected = |source: &str, read_only: bool| Mount {
            source: source.into(),
            destination: "/m".to_owned(),
            read_only,
        };
        let whole = mounted(json!({ "name": "v", "mountPath": "/m", "readOnly": true })).unwrap();
        assert_eq!(whole, [expected("/v", true)]);
        let part = mounted(json!({ "name": "v", "mountPath": "/m", "subPathExpr": "$(X)/y" })).unwrap();
        assert_eq!(part, [expected("/v/x/y", false)]);
        assert!(mounted(json!({ "name": "v", "mountPath": "/m", "subPath": "../etc" })).is_err());
        assert!(mounted(json!({ "name": "w", "mountPath": "/m" })).is_err());
    }

    #[test]
    fn the_files_of_a_volume_are_written_with_their_modes() {
        let folder = tempfile::tempdir().unwrap();
        let file = File { path: "sub/a".to_owned(), content: b"1".to_vec(), mode: 0o400 };
        let source = make(&Content::Files(vec![file]), folder.path(), None).unwrap();
        assert!(source.read_only);
        let written = folder.path().join("sub/a");
        assert_eq!(fs::read(&written).unwrap(), b"1");
        assert_eq!(fs::metadata(&written).unwrap().permissions().mode() & 0o777, 0o400);
    }
}
