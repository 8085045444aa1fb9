//! A list, page by page.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::body::{BYTES_MAX, keep};
use super::report::Problem;
use super::resource::{Collection, Freshness};
use super::wire::Page;

/// A list that is being asked for.
#[derive(Debug)]
pub(super) struct Pages {
    limit: u32,
    freshness: Freshness,
    token: Option<String>,
    body: Vec<u8>,
    count: u32,
}

impl Pages {
    /// From the beginning. Servers have cached lists on one page: where pages must be smaller, they are the latest.
    pub(super) fn new(limit: u32, freshness: Freshness) -> Pages {
        let freshness = if limit < LIMIT { Freshness::Latest } else { freshness };
        Pages { limit, freshness, token: None, body: Vec::new(), count: 0 }
    }

    /// How to ask for the next page.
    pub(super) fn path(&self, of: &Collection) -> String {
        of.list(self.limit, self.freshness, self.token.as_deref())
    }

    /// More of the page.
    pub(super) fn data(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        keep(&mut self.body, bytes, BYTES_MAX)
    }

    /// The page is whole: hands out its items. The version of the list, where this was its last page.
    pub(super) fn end(&mut self, each: impl FnMut(&RawValue)) -> Result<Option<String>, Problem> {
        let body = core::mem::take(&mut self.body);
        let page = Page::read(&body)?;
        page.items.into_iter().for_each(each);
        self.count += 1;
        match page.token {
            None => Ok(Some(page.version)),
            Some(_) if self.count >= PAGES_MAX => Err(Problem::TooLong),
            token => {
                self.token = token;
                Ok(None)
            }
        }
    }
}

/// Objects on a page, as kubectl asks for them.
pub(super) const LIMIT: u32 = 500;

/// What to ask for when pages of this size are too long: 500, 62, 7, 1.
pub(super) fn smaller(limit: u32) -> u32 {
    (limit / 8).max(1)
}

/// 10,000 pages of one object each are more objects than a namespace is told to have, and an end to a server that counts in circles.
const PAGES_MAX: u32 = 10_000;
