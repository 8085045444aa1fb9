//! How much memory the container may take, as its control group says (version 1 or 2).

use std::fs;
use std::path::{Path, PathBuf};

/// The lowest limit on memory of this process's control group and those above it, in bytes. `None`: there is none that can be seen.
pub(super) fn memory_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limit_below(Path::new("/sys/fs/cgroup"), &groups)
}

/// The same of what is mounted at `root`, where the process is in `groups` (cgroups(7): `ID:CONTROLLERS:PATH`).
fn limit_below(root: &Path, groups: &str) -> Option<u64> {
    let paths = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        match (fields.next()?, fields.next()?, fields.next()?) {
            ("0", "", path) => Some((root.to_owned(), path, "memory.max")),
            (_, controllers, path) if controllers.split(',').any(|name| name == "memory") => {
                Some((root.join("memory"), path, "memory.limit_in_bytes"))
            }
            _ => None,
        }
    });
    paths.flat_map(|(mount, path, file)| limits(&mount, path, file)).min()
}

/// The limits of a group and of all above. In a container the mount is often the group itself, and knows nothing of the path.
fn limits(mount: &Path, path: &str, file: &str) -> Vec<u64> {
    let group = mount.join(path.trim_start_matches('/'));
    let groups = group.ancestors().take_while(|ancestor| ancestor.starts_with(mount)).map(Path::to_owned);
    groups.filter_map(|group: PathBuf| limit(&fs::read_to_string(group.join(file)).ok()?)).collect()
}

/// What such a file says. Without a limit it is `max`, or the largest number of pages that there is.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < UNLIMITED)
}

/// An eighth of what version 1 says where there is no limit (2^63 less a page), and more than any machine has.
const UNLIMITED: u64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found where `files` are, for a process in `groups`.
    fn found(name: &str, files: &[(&str, &str)], groups: &str) -> Option<u64> {
        let root = std::env::temp_dir().join(format!("svcmesh-cgroup-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = limit_below(&root, groups);
        let _ = fs::remove_dir_all(root);
        found
    }

    #[test]
    fn the_lowest_limit_of_a_group_and_those_above_it_holds() {
        let files = [
            ("pods/memory.max", "max\n"),
            ("pods/a/memory.max", "134217728\n"),
            ("pods/a/b/memory.max", "268435456\n"),
        ];
        assert_eq!(found("v2", &files, "0::/pods/a/b\n"), Some(128 << 20));
    }

    #[test]
    fn in_a_container_the_mount_is_the_group() {
        assert_eq!(found("own", &[("memory.max", "67108864\n")], "0::/\n"), Some(64 << 20));
        assert_eq!(found("foreign", &[("memory.max", "67108864\n")], "0::/../kubepods/x\n"), Some(64 << 20));
    }

    #[test]
    fn the_older_version_has_a_tree_of_its_own() {
        let groups = "5:cpu,cpuacct:/\n4:memory:/pod\n0::/\n";
        let files = [
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/pod/memory.limit_in_bytes", "134217728\n"),
        ];
        assert_eq!(found("v1", &files, groups), Some(128 << 20));
        assert_eq!(found("v1-none", &files[..1], groups), None);
    }

    #[test]
    fn without_control_groups_there_is_no_limit() {
        assert_eq!(found("none", &[], ""), None);
        assert_eq!(found("max", &[("memory.max", "max\n")], "0::/\n"), None);
    }
}
