//! A crate's modules, and which file takes what from which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::source::{self, Import, Source};
use crate::Result;

/// The modules of a crate by their paths; that of the root is empty.
pub(super) struct Tree {
    modules: BTreeMap<Vec<String>, Module>,
}

struct Module {
    /// Below the crate's `src`.
    file: String,
    source: Source,
}

/// One thing that a file takes from elsewhere in its crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrow {
    /// The files between which it goes.
    pub(super) from: String,
    pub(super) to: String,
    /// The top-level module that takes it; none for the root.
    pub(super) user: Option<String>,
    /// Those through which it is named and in which it is defined.
    pub(super) used: BTreeSet<String>,
    /// Its name in the file that has it; none for a module as a whole.
    pub(super) item: Option<String>,
    /// How it is named.
    pub(super) path: String,
    pub(super) line: usize,
    /// Whether the file is the worse for it: a name that is only passed on ties no knot.
    pub(super) binds: bool,
}

impl Tree {
    /// Reads the modules below `folder` that `lib.rs` declares.
    pub(super) fn read(folder: &Path) -> Result<Tree> {
        Tree::of(&|file| fs::read_to_string(folder.join(file)).ok())
    }

    /// `text` has the files.
    pub(super) fn of(text: &dyn Fn(&str) -> Option<String>) -> Result<Tree> {
        let mut tree = Tree { modules: BTreeMap::new() };
        let root = text("lib.rs").ok_or("no `lib.rs`")?;
        tree.add(Vec::new(), "lib.rs".to_owned(), &root, text)?;
        Ok(tree)
    }

    fn add(
        &mut self,
        module: Vec<String>,
        file: String,
        own: &str,
        text: &dyn Fn(&str) -> Option<String>,
    ) -> Result<()> {
        let sources = source::read(own);
        let inside: BTreeSet<Vec<String>> = sources.iter().map(|source| source.place.clone()).collect();
        for source in sources {
            for child in &source.children {
                let place = [source.place.as_slice(), std::slice::from_ref(child)].concat();
                if inside.contains(&place) || child == "tests" {
                    continue;
                }
                let child = [module.as_slice(), &place].concat();
                let stem = child.join("/");
                let candidates = [format!("{stem}.rs"), format!("{stem}/mod.rs")];
                let found = candidates.into_iter().find_map(|file| text(&file).map(|text| (file, text)));
                let (file, own) =
                    found.ok_or_else(|| format!("no file for module `{}`", child.join("::")))?;
                self.add(child, file, &own, text)?;
            }
            let path = [module.as_slice(), &source.place].concat();
            self.modules.insert(path, Module { file: file.clone(), source });
        }
        Ok(())
    }

    /// The top-level modules.
    pub(super) fn tops(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().filter(|path| path.len() == 1).map(|path| path[0].as_str())
    }

    /// The top-level module of each file; none for the root.
    pub(super) fn top_of_files(&self) -> BTreeMap<&str, Option<&str>> {
        let tops = self.modules.iter();
        tops.map(|(path, module)| (module.file.as_str(), path.first().map(String::as_str))).collect()
    }

    /// Everything that is taken from elsewhere.
    pub(super) fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = Vec::new();
        for (place, module) in &self.modules {
            for import in &module.source.imports {
                let passed_on = import.is_public && !module.source.words.contains(&import.name);
                arrows.extend(self.arrow(place, &import.path, !passed_on));
            }
            let paths = module.source.paths.iter();
            for path in paths.filter(|path| !self.begins_with_an_imported_item(place, path)) {
                arrows.extend(self.arrow(place, path, true));
            }
        }
        arrows.sort();
        arrows
            .dedup_by(|one, other| (&one.from, &one.to, &one.path) == (&other.from, &other.to, &other.path));
        arrows
    }

    /// `Type::new`: that it is used was said where it is imported.
    fn begins_with_an_imported_item(&self, place: &[String], path: &source::Path) -> bool {
        let is_imported = self.imports(place, &path.segments[0]).is_some();
        let first = self.resolve(place, &path.segments[..1], &mut Vec::new());
        is_imported && first.is_some_and(|found| found.item.is_some())
    }

    /// What `path` takes from another file or module.
    fn arrow(&self, place: &[String], path: &source::Path, binds: bool) -> Option<Arrow> {
        let mut way = Vec::new();
        let Found { module, item } = self.resolve(place, &path.segments, &mut way)?;
        way.push(module);
        let (from, to) = (&self.modules[place].file, &self.modules[way.last()?].file);
        let user = place.first();
        let used = way.iter().filter_map(|module| module.first()).filter(|used| Some(*used) != user);
        let arrow = Arrow {
            from: from.clone(),
            to: to.clone(),
            user: user.cloned(),
            used: used.cloned().collect(),
            path: path.segments.join("::"),
            line: path.line,
            binds: binds && item.is_some() && from != to,
            item,
        };
        let of_the_root = arrow.item.is_some() && way.last()?.is_empty() && user.is_some();
        (arrow.binds || of_the_root || !arrow.used.is_empty()).then_some(arrow)
    }

    /// Where the thing that `segments` name in the module `place` is defined; none when that is another crate. `way` collects the
    /// modules that it is named through.
    fn resolve(&self, place: &[String], segments: &[String], way: &mut Vec<Vec<String>>) -> Option<Found> {
        if way.len() > MAX_HOPS {
            return None; // a name that stands for itself
        }
        let (first, rest) = segments.split_first()?;
        let start = match first.as_str() {
            "crate" => Vec::new(),
            "self" => place.to_vec(),
            "super" => place.split_last()?.1.to_vec(),
            name => return self.in_scope(place, name, rest, way),
        };
        self.descend(start, rest, way)
    }

    /// Follows `segments` down from `module`.
    fn descend(&self, module: Vec<String>, segments: &[String], way: &mut Vec<Vec<String>>) -> Option<Found> {
        match segments.split_first() {
            None => Some(Found { module, item: None }),
            Some((name, rest)) if name == "super" => self.descend(module.split_last()?.1.to_vec(), rest, way),
            Some((name, rest)) => {
                let found = self.in_scope(&module, name, rest, way);
                // What the root has of another crate is that crate's.
                let is_foreign = module.is_empty() && self.imports(&module, name).is_some();
                found.or((!is_foreign).then_some(Found { module, item: Some(name.clone()) }))
            }
        }
    }

    /// Follows a name that `module` declares or imports. None when it does neither.
    fn in_scope(
        &self,
        module: &[String],
        name: &str,
        rest: &[String],
        way: &mut Vec<Vec<String>>,
    ) -> Option<Found> {
        let child = [module, &[name.to_owned()]].concat();
        if self.modules.contains_key(&child) {
            return self.descend(child, rest, way);
        }
        let import = self.imports(module, name)?;
        way.push(module.to_vec());
        let segments = [import.path.segments.as_slice(), rest].concat();
        self.resolve(module, &segments, way)
    }

    /// What brings `name` into `module`.
    fn imports(&self, module: &[String], name: &str) -> Option<&Import> {
        let imports = &self.modules.get(module)?.source.imports;
        imports.iter().find(|import| import.name == name && import.path.segments != [name])
    }
}

/// More modules than a name is ever passed on by.
const MAX_HOPS: usize = 16;

struct Found {
    module: Vec<String>,
    /// The thing in the module; none for the module as a whole.
    item: Option<String>,
}
