//! What a file declares and what it names: modules, imports, paths. Test code is left out.

use std::collections::BTreeSet;

use super::text::{self, Kind, Token};

/// A module, as its text has it.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Its place within the file: empty for the file itself, one name for each `mod name { … }` around it.
    pub(super) place: Vec<String>,
    /// The modules that it declares.
    pub(super) children: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// The paths in its code.
    pub(super) paths: Vec<Path>,
    /// All words outside of imports.
    pub(super) words: BTreeSet<String>,
}

/// One name that a `use` brings.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) path: Path,
    /// The name; `*` for all.
    pub(super) name: String,
    /// Whether others can take it from here.
    pub(super) is_public: bool,
}

/// Names with `::` between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
}

/// The modules of a file: itself first, then those inside it.
pub(super) fn read(text: &str) -> Vec<Source> {
    let tokens = text::tokens(text);
    let mut reader = Reader { tokens: &tokens, at: 0, sources: Vec::new() };
    reader.module(Vec::new());
    reader.sources
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    sources: Vec<Source>,
}

impl<'a> Reader<'a> {
    /// Reads to the end of the module.
    fn module(&mut self, place: Vec<String>) {
        let own = self.sources.len();
        self.sources.push(Source { place, ..Source::default() });
        let (mut depth, mut is_public) = (0_usize, false);
        while let Some(token) = self.next() {
            match token.kind {
                Kind::Mark('#') => self.attribute(),
                Kind::Mark('{') => depth += 1,
                Kind::Mark('}') if depth == 0 => return,
                Kind::Mark('}') => depth -= 1,
                Kind::Word("pub") => {
                    is_public = true;
                    self.visibility();
                    continue;
                }
                Kind::Word("use") if self.peek() != Some(Kind::Mark('<')) => {
                    self.import(own, is_public, Vec::new());
                }
                Kind::Word("mod") => self.declaration(own),
                Kind::Word(word) => self.path(own, word, token.line),
                Kind::PathSeparator => self.global_path(),
                Kind::Mark(_) => {}
            }
            is_public = false;
        }
    }

    /// Skips the restriction in `pub(in crate::a)`, which is no import.
    fn visibility(&mut self) {
        let restricted =
            matches!(self.peek_at(1), Some(Kind::Word("crate" | "self" | "super" | "in"))) && self.is('(');
        if restricted {
            self.skip_group();
        }
    }

    /// `mod name;` or `mod name { … }`
    fn declaration(&mut self, own: usize) {
        let Some(Kind::Word(name)) = self.peek() else { return };
        self.at += 1;
        self.sources[own].children.insert(name.to_owned());
        if self.is('{') {
            self.at += 1;
            let place = [self.sources[own].place.as_slice(), &[name.to_owned()]].concat();
            self.module(place);
        }
    }

    /// One branch of the tree of a `use`.
    fn import(&mut self, own: usize, is_public: bool, mut segments: Vec<String>) {
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        let mut name = String::new();
        while let Some(token) = self.next() {
            match token.kind {
                Kind::Word("as") => {
                    let Some(Kind::Word(alias)) = self.next().map(|token| token.kind) else { break };
                    alias.clone_into(&mut name);
                }
                Kind::Word("self") if !segments.is_empty() => {}
                Kind::Word(word) => {
                    segments.push(word.to_owned());
                    word.clone_into(&mut name);
                }
                Kind::Mark('*') => "*".clone_into(&mut name),
                Kind::Mark('{') => {
                    while !self.is('}') && self.at < self.tokens.len() {
                        self.import(own, is_public, segments.clone());
                        if self.is(',') {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                Kind::Mark(',' | '}' | ';') => {
                    self.at -= 1;
                    break;
                }
                Kind::PathSeparator | Kind::Mark(_) => {}
            }
        }
        if name.is_empty() {
            segments.last().cloned().unwrap_or_default().clone_into(&mut name); // `{self}`
        }
        self.sources[own].imports.push(Import { path: Path { segments, line }, name, is_public });
    }

    /// A word, and what follows it after `::`.
    fn path(&mut self, own: usize, first: &str, line: usize) {
        let mut segments = vec![first.to_owned()];
        while let (Some(Kind::PathSeparator), Some(Kind::Word(word))) = (self.peek(), self.peek_at(1)) {
            segments.push(word.to_owned());
            self.at += 2;
        }
        self.sources[own].words.extend(segments.iter().cloned());
        if segments.len() > 1 {
            self.sources[own].paths.push(Path { segments, line });
        }
    }

    /// `::name` is of another crate, or goes on from a type's arguments.
    fn global_path(&mut self) {
        while let Some(Kind::Word(_) | Kind::PathSeparator) = self.peek() {
            self.at += 1;
        }
    }

    /// Skips an attribute, and what it stands before where that is for tests only. The paths in one (`#[serde(with = …)]`) are strings.
    fn attribute(&mut self) {
        if self.is('!') {
            self.at += 1;
        }
        if !self.is('[') {
            return;
        }
        let begin = self.at;
        self.skip_group();
        if is_for_tests(&self.tokens[begin..self.at]) {
            self.skip_item();
        }
    }

    /// Skips what attributes stand before: an item, a field, an arm or a statement.
    fn skip_item(&mut self) {
        while self.is('#') {
            self.at += 1;
            self.skip_group();
        }
        if let Some(Kind::Word("pub")) = self.peek() {
            self.at += 1;
            self.visibility();
        }
        const ITEMS: [&str; 11] = [
            "async",
            "const",
            "enum",
            "extern",
            "fn",
            "impl",
            "macro_rules",
            "mod",
            "struct",
            "trait",
            "unsafe",
        ];
        const STATEMENTS: [&str; 4] = ["let", "static", "type", "use"];
        let first = match self.peek() {
            Some(Kind::Word(word)) => word,
            _ => "",
        };
        let is_statement =
            STATEMENTS.contains(&first) || (first == "const" && self.peek_at(1) != Some(Kind::Word("fn")));
        let is_item = ITEMS.contains(&first) && !is_statement;
        while let Some(kind) = self.peek() {
            match kind {
                Kind::Mark('}' | ')' | ']') => return,
                Kind::Mark('{') if !is_statement => return self.skip_group(),
                Kind::Mark('{' | '(' | '[') => self.skip_group(),
                Kind::Mark(';') => return self.at += 1,
                Kind::Mark(',') if !is_item && !is_statement => return self.at += 1,
                Kind::Word(_) | Kind::PathSeparator | Kind::Mark(_) => self.at += 1,
            }
        }
    }

    /// Skips from an opening bracket behind its closing one.
    fn skip_group(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.next() {
            match token.kind {
                Kind::Mark('{' | '(' | '[') => depth += 1,
                Kind::Mark('}' | ')' | ']') => depth -= 1,
                Kind::Word(_) | Kind::PathSeparator | Kind::Mark(_) => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn is(&self, mark: char) -> bool {
        self.peek() == Some(Kind::Mark(mark))
    }

    fn peek(&self) -> Option<Kind<'a>> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<Kind<'a>> {
        self.tokens.get(self.at + ahead).map(|token| token.kind)
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        token
    }
}

/// `[test]`, `[cfg(test)]`, `[cfg(all(test, …))]`, but not what other builds have, too.
fn is_for_tests(attribute: &[Token<'_>]) -> bool {
    let words = attribute.iter().filter_map(|token| match token.kind {
        Kind::Word(word) => Some(word),
        Kind::PathSeparator | Kind::Mark(_) => None,
    });
    let words: Vec<&str> = words.collect();
    matches!(words.as_slice(), ["test"] | ["cfg", "test"] | ["cfg", "all", "test", ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(text: &str) -> Vec<String> {
        let imports = read(text).remove(0).imports;
        let show = |import: &Import| {
            let public = if import.is_public { "pub " } else { "" };
            format!("{public}{} = {}", import.name, import.path.segments.join("::"))
        };
        imports.iter().map(show).collect()
    }

    #[test]
    fn a_use_is_taken_apart_into_names() {
        let text = "use crate::a::{self, B, c::{D as E, F}};\npub(in crate::x) use super::G;\npub use h::*;";
        let expected = [
            "a = crate::a",
            "B = crate::a::B",
            "E = crate::a::c::D",
            "F = crate::a::c::F",
            "pub G = super::G",
            "pub * = h",
        ];
        assert_eq!(imports(text), expected);
    }

    #[test]
    fn the_paths_of_the_code_are_found_with_their_lines() {
        let text = "fn a(b: crate::c::D) -> impl E + use<'_> {\n    <f as g::H>::i(&::std::j::<k::L>)\n}";
        let paths = &read(text)[0].paths;
        let shown: Vec<_> = paths.iter().map(|path| (path.segments.join("::"), path.line)).collect();
        let expected = [("crate::c::D", 1), ("g::H", 2), ("k::L", 2)];
        assert_eq!(shown, expected.map(|(path, line)| (path.to_owned(), line)));
    }

    #[test]
    fn test_code_is_left_out() {
        let text = "#[cfg(test)]\n#[rustfmt::skip]\nmod tests { use crate::run; }\n#[cfg(test)] mod samples;\n\
            #[cfg(test)] use crate::run::{A, B};\n#[cfg(test)] pub(crate) fn a<T, U>(b: T) { crate::run::c() }\n\
            struct S { #[cfg(test)] t: crate::run::T, u: crate::kept::U }\n#[cfg(test)] const C: X = X { a: crate::run::A };\n\
            #[test]\nfn d() { crate::run::d() }\n#[cfg(any(test, feature = \"x\"))] mod kept;\n";
        let source = &read(text)[0];
        assert!(source.imports.is_empty(), "{source:?}");
        assert_eq!(source.paths.len(), 1, "{source:?}");
        assert_eq!(source.children, BTreeSet::from(["kept".to_owned()]));
    }

    #[test]
    fn a_module_inside_a_file_is_one_of_its_own() {
        let sources = read("mod a { mod b; use super::C; } use crate::D;");
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].imports[0].name, "D");
        assert_eq!((sources[1].place.join("::").as_str(), sources[1].imports[0].name.as_str()), ("a", "C"));
    }
}
