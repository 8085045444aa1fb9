use std::time::Duration;

use tokio::time::timeout;

use super::*;

/// Long beside the debounce, short beside a test.
const SOON: Duration = Duration::from_secs(1);

async fn next(watch: &mut FolderWatch) -> Touched {
    timeout(SOON, watch.touched()).await.expect("something happened")
}

#[tokio::test]
async fn files_are_told_when_they_are_finished() {
    let folder = folder(&[]);
    let mut watch = open(folder.path()).watch();
    let half = fs::File::create(folder.path().join("a.yaml")).unwrap();
    fs::write(folder.path().join("b.yaml"), "").unwrap();
    fs::write(folder.path().join("c.txt"), "").unwrap();
    assert_eq!(next(&mut watch).await, touched("b.yaml"), "a.yaml is still being written");
    drop(half);
    assert_eq!(next(&mut watch).await, touched("a.yaml"));
}

#[tokio::test]
async fn moves_links_and_deletions_are_told() {
    let folder = folder(&[("a.yaml", ""), (".b.yaml.tmp", "")]);
    let path = |name| folder.path().join(name);
    let mut watch = open(folder.path()).watch();
    fs::rename(path(".b.yaml.tmp"), path("b.yaml")).unwrap();
    assert_eq!(next(&mut watch).await, touched("b.yaml"));
    std::os::unix::fs::symlink("a.yaml", path("c.yaml")).unwrap();
    assert_eq!(next(&mut watch).await, touched("c.yaml"));
    fs::remove_file(path("a.yaml")).unwrap();
    assert_eq!(next(&mut watch).await, touched("a.yaml"));
}

#[tokio::test]
async fn what_happens_together_is_told_together() {
    let folder = folder(&[]);
    let mut watch = open(folder.path()).watch();
    let names: BTreeSet<String> = (0..300).map(|n| format!("{n}.yaml")).collect();
    names.iter().for_each(|name| fs::write(folder.path().join(name), "").unwrap());
    assert_eq!(next(&mut watch).await, Touched::Files(names));
}

#[tokio::test]
async fn a_step_of_the_kubelet_touches_all() {
    let mount = folder(&[]);
    let mut watch = open(mount.path()).watch();
    std::os::unix::fs::symlink("..2026_01", mount.path().join("..data_tmp")).unwrap();
    fs::rename(mount.path().join("..data_tmp"), mount.path().join("..data")).unwrap();
    assert_eq!(next(&mut watch).await, Touched::All);
}

#[tokio::test]
async fn more_than_the_kernel_remembers_touches_all() {
    let folder = folder(&[("a.yaml", ""), ("b.yaml", "")]);
    let mut watch = open(folder.path()).watch();
    let limit: usize =
        fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    for _ in 0..=limit / 2 {
        fs::write(folder.path().join("a.yaml"), "").unwrap(); // in turns: equal events in a row are one
        fs::write(folder.path().join("b.yaml"), "").unwrap();
    }
    assert_eq!(next(&mut watch).await, Touched::All);
}

#[tokio::test]
async fn a_folder_that_comes_back_is_watched_again() {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("manifests");
    fs::create_dir(&inner).unwrap();
    let mut watch = open(&inner).watch();
    fs::remove_dir(&inner).unwrap();
    assert_eq!(next(&mut watch).await, Touched::All);
    fs::create_dir(&inner).unwrap();
    assert_eq!(timeout(3 * SOON, watch.touched()).await.expect("the rescan"), Touched::All);
    fs::write(inner.join("a.yaml"), "").unwrap();
    assert_eq!(next(&mut watch).await, touched("a.yaml"));
}
