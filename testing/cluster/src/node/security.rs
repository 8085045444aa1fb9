//! What a container may do: its user, its capabilities, its seccomp profile, and the paths that it does not see.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::{Value, json};

use super::Result;
use super::images::Image;

/// The user and the groups of a container.
pub(crate) struct User {
    pub(crate) user: i64,
    pub(crate) group: i64,
    pub(crate) groups: Vec<i64>,
}

impl User {
    pub(crate) fn of(spec: &PodSpec, container: &Container, image: &Image) -> Result<User> {
        let (pod, own) = (spec.security_context.as_ref(), container.security_context.as_ref());
        let chosen = own.and_then(|own| own.run_as_user).or(pod.and_then(|pod| pod.run_as_user));
        let user = chosen.unwrap_or(image.user);
        let group = own.and_then(|own| own.run_as_group).or(pod.and_then(|pod| pod.run_as_group));
        let not_root = own.and_then(|own| own.run_as_non_root).or(pod.and_then(|pod| pod.run_as_non_root));
        if not_root == Some(true) && user == 0 {
            let whose = if chosen.is_some() {
                "container's runAsUser"
            } else {
                "container has runAsNonRoot and image"
            };
            return Err(format!("{whose} breaks non-root policy: it will run as root").into());
        }
        let supplemental = pod.and_then(|pod| pod.supplemental_groups.clone()).unwrap_or_default();
        let groups = supplemental.into_iter().chain(pod.and_then(|pod| pod.fs_group)).collect();
        Ok(User { user, group: group.unwrap_or(0), groups })
    }
}

/// The capabilities that containerd grants, without the dropped ones and with the added ones.
pub(crate) fn capabilities(container: &Container, privileged: bool) -> Vec<String> {
    let full = |name: &String| match name.to_ascii_uppercase() {
        name if name.starts_with("CAP_") => name,
        name => format!("CAP_{name}"),
    };
    let asked = container.security_context.as_ref().and_then(|context| context.capabilities.as_ref());
    let list = |words: Option<&Option<Vec<String>>>| -> Vec<String> {
        words.into_iter().flatten().flatten().map(full).collect()
    };
    let (add, drop) = (list(asked.map(|asked| &asked.add)), list(asked.map(|asked| &asked.drop)));
    let names = |names: &[&str]| names.iter().map(|name| format!("CAP_{name}")).collect::<Vec<_>>();
    if privileged || add.iter().any(|name| name == "CAP_ALL") {
        return names(&[GRANTED, OTHERS].concat());
    }
    let mut capabilities = names(GRANTED);
    capabilities.retain(|name| !drop.iter().any(|dropped| dropped == "CAP_ALL" || dropped == name));
    for name in add {
        if !capabilities.contains(&name) {
            capabilities.push(name);
        }
    }
    capabilities
}

pub(crate) fn has_default_seccomp(spec: &PodSpec, container: &Container) -> bool {
    let own = container.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
    let pods = spec.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
    own.or(pods).is_some_and(|profile| profile.type_ == "RuntimeDefault")
}

/// What a default profile refuses of all that needs no capability, so that a program which relies on it fails here too.
pub(crate) fn seccomp() -> Value {
    let refused = [
        "acct",
        "add_key",
        "bpf",
        "create_module",
        "delete_module",
        "finit_module",
        "fsconfig",
        "fsmount",
        "fsopen",
        "init_module",
        "io_uring_enter",
        "io_uring_register",
        "io_uring_setup",
        "kexec_file_load",
        "kexec_load",
        "keyctl",
        "mount",
        "move_mount",
        "open_tree",
        "perf_event_open",
        "pivot_root",
        "reboot",
        "request_key",
        "setns",
        "swapoff",
        "swapon",
        "umount2",
        "unshare",
        "userfaultfd",
    ];
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": refused, "action": "SCMP_ACT_ERRNO", "errnoRet": 1 }],
    })
}

pub(crate) const GRANTED: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// The other capabilities, for privileged containers.
const OTHERS: &[&str] = &[
    "DAC_READ_SEARCH",
    "LINUX_IMMUTABLE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "LEASE",
    "AUDIT_CONTROL",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
];

pub(crate) const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];

pub(crate) const READ_ONLY: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
