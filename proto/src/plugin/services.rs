//! `services`: Services that the configuration itself tells, in the words of the document at `/services`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::json::{Fields, Place};
use crate::services::Service;

/// The JSON of each Service. Here is told what is not the document's language; whether it can serve as it is, core finds out.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Vec<String> {
    let mut read = Vec::new();
    for (index, item) in fields.items("services").iter().enumerate() {
        Service::check(item, Place::field("services").item(index), fields.mistakes());
        read.push(item.to_string());
    }
    read
}
