//! The demo's folder: the manifests that the sidecar watches, and its logs beside them.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::manifests::manifests;
use super::ports::DemoPorts;

/// The folder; removed when it is dropped.
pub(super) struct DemoFolder(PathBuf);

impl DemoFolder {
    /// Makes a folder that was not there, and writes the manifests.
    pub(super) fn create(ports: &DemoPorts) -> io::Result<DemoFolder> {
        let path = std::env::temp_dir().join(format!("svcmesh-demo-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        let folder = DemoFolder(path);
        fs::create_dir(folder.manifests())?;
        for (name, text) in manifests(ports) {
            fs::write(folder.manifests().join(name), text)?;
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn manifests(&self) -> PathBuf {
        self.0.join("manifests")
    }

    /// A new file beside the manifests: a write into their folder would be a change of theirs.
    pub(super) fn log(&self, name: &str) -> io::Result<File> {
        File::create_new(self.0.join(name))
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // nobody is left who could do more about it
    }
}
