//! A container of a pod → the `config.json` of an OCI bundle, which runc executes.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::{Value, json};

use super::env::expand;
use super::fields::amount;
use super::images::Image;
use super::security::{MASKED, READ_ONLY, User, capabilities, has_default_seccomp, seccomp};
use super::volumes::Mount;
use super::{Error, Result};

/// Everything of a container that is not in its pod's specification.
pub(crate) struct Surroundings<'a> {
    pub(crate) image: &'a Image,
    pub(crate) variables: &'a [(String, String)],
    pub(crate) mounts: &'a [Mount],
    pub(crate) hostname: &'a str,
    /// The process that holds the pod's namespaces; none: those of the node (`hostNetwork`).
    pub(crate) sandbox: Option<u32>,
    pub(crate) root: &'a Path,
    pub(crate) cgroup: &'a str,
}

/// The configuration of one container.
pub(crate) fn config(spec: &PodSpec, container: &Container, around: &Surroundings<'_>) -> Result<Value> {
    let user = User::of(spec, container, around.image)?;
    let context = container.security_context.as_ref();
    let privileged = context.and_then(|context| context.privileged) == Some(true);
    let escalates = context.and_then(|context| context.allow_privilege_escalation).unwrap_or(true);
    let read_only = context.and_then(|context| context.read_only_root_filesystem) == Some(true);
    let capabilities = capabilities(container, privileged);
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": user.user, "gid": user.group, "additionalGids": user.groups },
            "args": arguments(container, around)?,
            "env": environment(around),
            "cwd": working_directory(container, around.image),
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
            "noNewPrivileges": !escalates && !privileged,
        },
        "root": { "path": around.root, "readonly": read_only },
        "hostname": around.hostname,
        "mounts": mounts(around, privileged),
        "linux": {
            "namespaces": namespaces(around.sandbox),
            "cgroupsPath": around.cgroup,
            "resources": resources(container, privileged)?,
            "sysctl": sysctls(spec),
        },
    });
    if !privileged {
        config["linux"]["maskedPaths"] = json!(MASKED);
        config["linux"]["readonlyPaths"] = json!(READ_ONLY);
        if has_default_seccomp(spec, container) {
            config["linux"]["seccomp"] = seccomp();
        }
    }
    Ok(config)
}

/// `command` replaces an image's entry point with all its arguments, `args` its arguments only.
fn arguments(container: &Container, around: &Surroundings<'_>) -> Result<Vec<String>> {
    let expanded = |words: &Option<Vec<String>>| -> Vec<String> {
        let known = |name: &str| {
            around.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        };
        words.iter().flatten().map(|word| expand(word, known)).collect()
    };
    let (command, args) = (expanded(&container.command), expanded(&container.args));
    let image = around.image;
    let words = match (command.is_empty(), args.is_empty()) {
        (false, _) => [command, args].concat(),
        (true, false) => [image.entrypoint.clone(), args].concat(),
        (true, true) => [image.entrypoint.clone(), image.command.clone()].concat(),
    };
    if words.is_empty() { Err("no command specified".into()) } else { Ok(words) }
}

fn environment(around: &Surroundings<'_>) -> Vec<String> {
    let mut variables = vec![
        ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("HOSTNAME".to_owned(), around.hostname.to_owned()),
    ];
    variables.retain(|(name, _)| around.variables.iter().all(|(known, _)| known != name));
    variables.extend_from_slice(around.variables);
    variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn working_directory(container: &Container, image: &Image) -> String {
    let chosen = container.working_dir.clone().filter(|folder| !folder.is_empty());
    chosen.unwrap_or_else(|| image.working_directory.clone())
}

fn mounts(around: &Surroundings<'_>, privileged: bool) -> Vec<Value> {
    let system = |destination: &str, kind: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": kind, "options": options });
    let how = if privileged { "rw" } else { "ro" };
    let mut mounts = vec![
        system("/proc", "proc", &[]),
        system("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        system(
            "/dev/pts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        system("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        system("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        json!({ "destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", how] }),
    ];
    mounts.extend(around.mounts.iter().map(|mount| {
        let how = if mount.read_only { "ro" } else { "rw" };
        json!({ "destination": mount.destination, "type": "none", "source": mount.source, "options": ["rbind", "rprivate", how] })
    }));
    mounts
}

/// PIDs, mounts and host name are a container's own; network and IPC the pod's.
fn namespaces(sandbox: Option<u32>) -> Vec<Value> {
    let mut namespaces = vec![json!({ "type": "pid" }), json!({ "type": "mount" }), json!({ "type": "uts" })];
    if let Some(process) = sandbox {
        namespaces.push(json!({ "type": "network", "path": format!("/proc/{process}/ns/net") }));
        namespaces.push(json!({ "type": "ipc", "path": format!("/proc/{process}/ns/ipc") }));
    }
    namespaces
}

fn resources(container: &Container, privileged: bool) -> Result<Value> {
    let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let limit = |name: &str| -> Result<Option<f64>> {
        let quantity = limits.and_then(|limits| limits.get(name));
        quantity.map(|quantity| amount(&quantity.0)).transpose()
    };
    let mut resources = json!({ "devices": [{ "allow": privileged, "access": "rwm" }] }); // runc adds the usual ones
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float beyond an i64 saturates, which no limit reaches"
    )]
    if let Some(bytes) = limit("memory")? {
        resources["memory"] = json!({ "limit": bytes as i64 });
    }
    #[expect(clippy::cast_possible_truncation, reason = "the same")]
    if let Some(cores) = limit("cpu")? {
        resources["cpu"] = json!({ "period": 100_000, "quota": (cores * 100_000.0) as i64 });
    }
    Ok(resources)
}

fn sysctls(spec: &PodSpec) -> Value {
    let asked = spec.security_context.iter().flat_map(|context| context.sysctls.iter().flatten());
    asked.map(|sysctl| (sysctl.name.clone(), json!(sysctl.value))).collect::<serde_json::Map<_, _>>().into()
}

/// The command of a hook or of a probe.
pub(crate) fn command(words: Option<&Vec<String>>) -> Result<Vec<String>> {
    words.filter(|words| !words.is_empty()).cloned().ok_or_else(|| Error::from("no command to execute"))
}

/// Where the bundle of a container lies.
pub(crate) fn bundle(home: &Path, pod: &str, container: &str, attempt: i32) -> PathBuf {
    home.join("pods").join(pod).join("containers").join(format!("{container}-{attempt}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::security::GRANTED;

    fn image() -> Image {
        Image {
            lower: "/image".into(),
            entrypoint: vec!["/entry".into()],
            command: vec!["default".into()],
            user: 0,
            working_directory: "/".into(),
            stop_signal: rustix::process::Signal::TERM,
        }
    }

    fn told(spec: Value, container: Value) -> Result<Value> {
        let mut spec = spec;
        spec["containers"] = json!([]);
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let container: Container = serde_json::from_value(container).unwrap();
        let mount = Mount { source: "/v".into(), destination: "/data".to_owned(), read_only: true };
        config(
            &spec,
            &container,
            &Surroundings {
                image: &image(),
                variables: &[("NAME".to_owned(), "x".to_owned())],
                mounts: &[mount],
                hostname: "web-0",
                sandbox: Some(7),
                root: Path::new("/root"),
                cgroup: "/cluster/a",
            },
        )
    }

    #[test]
    fn command_and_args_replace_what_the_image_says_and_refer_to_variables() {
        let words = |container: Value| told(json!({}), container).unwrap()["process"]["args"].clone();
        assert_eq!(words(json!({ "name": "c" })), json!(["/entry", "default"]));
        assert_eq!(words(json!({ "name": "c", "args": ["$(NAME)"] })), json!(["/entry", "x"]));
        assert_eq!(words(json!({ "name": "c", "command": ["sh"] })), json!(["sh"]));
        assert_eq!(words(json!({ "name": "c", "command": ["sh"], "args": ["-c"] })), json!(["sh", "-c"]));
    }

    #[test]
    fn a_container_runs_as_its_own_user_else_as_the_pods() {
        let pod = json!({ "securityContext": { "runAsUser": 1000, "runAsGroup": 5, "fsGroup": 6, "supplementalGroups": [7] } });
        let config = told(pod.clone(), json!({ "name": "c" })).unwrap();
        assert_eq!(config["process"]["user"], json!({ "uid": 1000, "gid": 5, "additionalGids": [7, 6] }));
        let config = told(pod, json!({ "name": "c", "securityContext": { "runAsUser": 2000 } })).unwrap();
        assert_eq!(config["process"]["user"]["uid"], 2000);
    }

    #[test]
    fn root_is_refused_where_the_pod_must_not_run_as_root() {
        let pod = json!({ "securityContext": { "runAsNonRoot": true } });
        assert!(told(pod.clone(), json!({ "name": "c" })).is_err());
        assert!(told(pod.clone(), json!({ "name": "c", "securityContext": { "runAsUser": 0 } })).is_err());
        assert!(told(pod, json!({ "name": "c", "securityContext": { "runAsUser": 1 } })).is_ok());
    }

    #[test]
    fn capabilities_are_dropped_and_added() {
        let of = |asked: Value| {
            let context = json!({ "capabilities": asked });
            told(json!({}), json!({ "name": "c", "securityContext": context })).unwrap()["process"]
                ["capabilities"]["bounding"]
                .clone()
        };
        assert_eq!(of(json!({ "drop": ["ALL"] })), json!([]));
        assert_eq!(of(json!({ "drop": ["ALL"], "add": ["NET_ADMIN"] })), json!(["CAP_NET_ADMIN"]));
        let some = of(json!({ "drop": ["NET_RAW"], "add": ["KILL"] }));
        let some = some.as_array().unwrap();
        assert!(!some.contains(&json!("CAP_NET_RAW")) && some.contains(&json!("CAP_CHOWN")));
        assert_eq!(some.len(), GRANTED.len() - 1);
    }

    #[test]
    fn a_restricted_container_is_held_to_what_it_says() {
        let context = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "seccompProfile": { "type": "RuntimeDefault" },
        });
        let pod = json!({ "securityContext": { "sysctls": [{ "name": "net.ipv4.ip_unprivileged_port_start", "value": "0" }] } });
        let config = told(pod, json!({ "name": "c", "securityContext": context })).unwrap();
        assert_eq!(config["process"]["noNewPrivileges"], true);
        assert_eq!(config["root"]["readonly"], true);
        assert_eq!(config["linux"]["sysctl"], json!({ "net.ipv4.ip_unprivileged_port_start": "0" }));
        assert_eq!(config["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ALLOW");
    }

    #[test]
    fn a_privileged_container_sees_everything() {
        let context = json!({ "privileged": true, "seccompProfile": { "type": "RuntimeDefault" } });
        let config = told(json!({}), json!({ "name": "c", "securityContext": context })).unwrap();
        assert_eq!(config["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 38);
        assert_eq!(config["linux"].get("seccomp"), None);
        assert_eq!(config["linux"].get("maskedPaths"), None);
    }

    #[test]
    fn containers_of_a_pod_share_its_network() {
        let config = told(json!({}), json!({ "name": "c" })).unwrap();
        let namespaces = config["linux"]["namespaces"].as_array().unwrap();
        assert!(namespaces.contains(&json!({ "type": "network", "path": "/proc/7/ns/net" })));
        let mount = config["mounts"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(mount["options"], json!(["rbind", "rprivate", "ro"]));
        assert_eq!(mount["destination"], "/data");
    }

    #[test]
    fn limits_become_those_of_a_control_group() {
        let limits = json!({ "limits": { "memory": "64Mi", "cpu": "250m" } });
        let config = told(json!({}), json!({ "name": "c", "resources": limits })).unwrap();
        assert_eq!(config["linux"]["resources"]["memory"], json!({ "limit": 67_108_864 }));
        assert_eq!(config["linux"]["resources"]["cpu"]["quota"], 25_000);
    }
}
