//! Manifests as a source: read when a file of theirs is touched.

use svc_core::inventory::{Change, Rejection};
use svc_core::table;

use super::{FolderWatch, Manifests, Touched};
use crate::certificates::Secrets;
use crate::control::source::{NextChanges, Source};

/// Manifests, and what tells of their files.
pub(crate) struct ManifestSource {
    manifests: Manifests,
    watch: FolderWatch,
}

impl ManifestSource {
    pub(crate) fn new(manifests: Manifests) -> ManifestSource {
        let watch = manifests.watch();
        ManifestSource { manifests, watch }
    }
}

impl Source for ManifestSource {
    fn kind(&self) -> table::Source {
        table::Source::Manifests
    }

    fn list(&mut self) -> Option<Vec<Change>> {
        Some(self.manifests.refresh(&Touched::All))
    }

    fn next(&mut self) -> NextChanges<'_> {
        Box::pin(async {
            let touched = self.watch.touched().await;
            self.manifests.refresh(&touched)
        })
    }

    fn reload(&mut self) -> Option<Vec<Change>> {
        Some(self.manifests.reload())
    }

    fn rejections(&self) -> Vec<Rejection> {
        self.manifests.rejections()
    }

    fn changed_secrets(&mut self) -> Option<Secrets> {
        self.manifests.changed_secrets()
    }
}
