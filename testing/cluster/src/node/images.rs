//! Images: names that stand for root filesystems of this machine.
//!
//! `busybox` and `nginx` are made of Debian's packages; others are given as `NAME=PATH`, where the path is a folder (a root filesystem) or
//! a program, which becomes an image of itself and its libraries.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::Result;

/// A root filesystem, and what an image says of how to run it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The folder that containers see, each with a writable layer of its own.
    pub(crate) lower: PathBuf,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) command: Vec<String>,
    pub(crate) user: i64,
    pub(crate) working_directory: String,
    pub(crate) stop_signal: Signal,
}

impl Image {
    fn at(lower: PathBuf) -> Image {
        let (entrypoint, command) = (Vec::new(), Vec::new());
        let working_directory = "/".to_owned();
        Image { lower, entrypoint, command, user: 0, working_directory, stop_signal: Signal::TERM }
    }
}

/// All images of a cluster.
pub(crate) struct Images {
    known: BTreeMap<String, Image>,
}

impl Images {
    /// Makes the two that are always there, as far as their packages are installed, and those that are given.
    pub(crate) fn new(home: &Path, given: &[(String, Vec<PathBuf>)]) -> Result<Images> {
        let mut known = BTreeMap::new();
        if let Some(program) = find("busybox") {
            known.insert("busybox".to_owned(), busybox(&home.join("busybox"), &program)?);
        }
        if let Some(program) = find("nginx") {
            known.insert("nginx".to_owned(), nginx(&home.join("nginx"), &program)?);
        }
        for (name, paths) in given {
            let image = match paths.as_slice() {
                [folder] if folder.is_dir() => Image::at(folder.clone()),
                paths => programs(&home.join(name), paths)?,
            };
            known.insert(name.clone(), image);
        }
        Ok(Images { known })
    }

    /// The image of that reference: registry, repository and tag do not matter.
    pub(crate) fn find(&self, reference: &str) -> Result<&Image> {
        let names = || self.known.keys().cloned().collect::<Vec<_>>().join(" ");
        self.known
            .get(name(reference))
            .ok_or_else(|| format!("no image `{reference}` in this cluster: {}", names()).into())
    }
}

/// `registry/group/name:tag@digest` → `name`.
fn name(reference: &str) -> &str {
    let reference = reference.split('@').next().unwrap_or_default();
    let last = reference.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

/// Where a program of this machine lies.
fn find(program: &str) -> Option<PathBuf> {
    ["/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
}

fn busybox(root: &Path, busybox: &Path) -> Result<Image> {
    folders(root)?;
    install(root, busybox, "bin/busybox")?;
    let applets = Command::new(busybox).arg("--list").output()?;
    for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|applet| *applet != "busybox") {
        link("busybox", &root.join("bin").join(applet))?;
    }
    Ok(Image { command: vec!["sh".to_owned()], ..Image::at(root.to_owned()) })
}

fn nginx(root: &Path, nginx: &Path) -> Result<Image> {
    folders(root)?;
    install(root, nginx, "usr/sbin/nginx")?;
    for folder in ["etc/nginx/conf.d", "usr/share/nginx/html", "var/log/nginx", "var/lib/nginx", "run"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::write(root.join("etc/nginx/nginx.conf"), NGINX)?;
    fs::write(root.join("usr/share/nginx/html/index.html"), "Welcome to nginx!\n")?;
    link("/dev/stdout", &root.join("var/log/nginx/access.log"))?;
    link("/dev/stderr", &root.join("var/log/nginx/error.log"))?;
    Ok(Image {
        entrypoint: vec!["/usr/sbin/nginx".to_owned()],
        command: vec!["-g".to_owned(), "daemon off;".to_owned()],
        stop_signal: Signal::QUIT,
        ..Image::at(root.to_owned())
    })
}

/// As the published image has it; `/hostname` tells which pod answered.
const NGINX: &str = "worker_processes 1;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    default_type text/plain;
    access_log /var/log/nginx/access.log;
    include /etc/nginx/conf.d/*.conf;
    server {
        listen 80;
        listen [::]:80;
        root /usr/share/nginx/html;
        location = /hostname { return 200 \"$hostname\\n\"; }
    }
}
";

/// An image of programs; the first one is the entry point, the others are in the path.
fn programs(root: &Path, programs: &[PathBuf]) -> Result<Image> {
    folders(root)?;
    let mut entrypoint = Vec::new();
    for program in programs {
        let name = program.file_name().ok_or("a program has a name")?.to_string_lossy().into_owned();
        match entrypoint.is_empty() {
            true => {
                install(root, program, &name)?;
                entrypoint.push(format!("/{name}"));
            }
            false => install(root, program, &format!("usr/sbin/{name}"))?,
        }
    }
    Ok(Image { entrypoint, ..Image::at(root.to_owned()) })
}

/// The folders and the accounts of every root filesystem.
fn folders(root: &Path) -> Result<()> {
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp", "var"] {
        fs::create_dir_all(root.join(folder))?;
    }
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    fs::set_permissions(root.join("tmp"), rights)?;
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    )?;
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
    Ok(())
}

/// Copies a program and its libraries.
fn install(root: &Path, program: &Path, to: &str) -> Result<()> {
    copy(program, &root.join(to))?;
    let libraries = Command::new("ldd").arg(program).output()?; // fails for a static program, which has none
    let lines = String::from_utf8_lossy(&libraries.stdout).into_owned();
    for library in lines.split_whitespace().filter(|word| word.starts_with('/')) {
        copy(Path::new(library), &root.join(library.trim_start_matches('/')))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).map_err(|error| format!("cannot copy `{}`: {error}", from.display()))?;
    Ok(())
}

fn link(to: &str, at: &Path) -> Result<()> {
    match symlink(to, at) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_tag_and_digest_do_not_matter() {
        for reference in ["nginx", "nginx:1.27", "docker.io/library/nginx:1", "host:5000/nginx@sha256:00"] {
            assert_eq!(name(reference), "nginx", "{reference}");
        }
    }

    #[test]
    fn programs_become_an_image_with_their_libraries() {
        let home = tempfile::tempdir().unwrap();
        let shell = find("sh").expect("every machine has one");
        let images = Images::new(home.path(), &[("tool".to_owned(), vec![shell.clone(), shell])]).unwrap();
        let image = images.find("registry.example/tool:1").unwrap();
        assert_eq!(image.entrypoint, ["/sh"]);
        assert!(image.lower.join("sh").is_file() && image.lower.join("usr/sbin/sh").is_file());
        assert!(images.find("none").is_err());
    }
}
