//! Where the parts of an object stand that messages name.

use super::invalid::Path;

pub(super) const METADATA: Path<'_> = Path::root("metadata");
pub(super) const ANNOTATIONS: Path<'_> = METADATA.field("annotations");
pub(super) const SPEC: Path<'_> = Path::root("spec");
