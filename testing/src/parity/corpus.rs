//! Stories: what there is, who asks, and who answers.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use super::world::World;

/// One story.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it is told: `names.txt:12`.
    pub place: String,
    pub title: String,
    /// Neither time nor chance makes a difference, so that it holds where nobody has them in hand.
    pub anywhere: bool,
    pub seed: u64,
    pub world: World,
    pub steps: Vec<(usize, Step)>,
}

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    Wait(Duration),
    /// An endpoint, by its label, or a Service is no longer as it was.
    Change(String, Vec<(String, String)>),
    Ask(Request),
    /// The oldest request that the endpoint of this label holds is answered.
    End(String),
}

/// A request, made once for each answer that is expected.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub authority: String,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub version: String,
    pub from: IpAddr,
    pub headers: Vec<(String, String)>,
    /// What endpoints answer, and after what time.
    pub status: u16,
    pub after: Duration,
    /// They do not yet.
    pub held: bool,
    /// Labels of endpoints, and codes of failures.
    pub answers: Vec<String>,
    /// What an endpoint is told about where the request came from; nothing is compared where nothing is expected.
    pub told: Vec<(String, String)>,
}

/// All stories, in the order in which they are told.
pub fn corpus() -> Vec<Case> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    let entries = std::fs::read_dir(folder).expect("the corpus is there");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    paths.sort();
    paths.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Case> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let text = std::fs::read_to_string(path).expect("a story can be read");
    let mut reader = Reader::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.split("  #").next().unwrap_or_default();
        if !line.trim().is_empty() && !line.starts_with('#') {
            let place = format!("{name}:{}", number + 1);
            reader.read(line.trim(), number + 1, &place).unwrap_or_else(|| panic!("{place}: what is that?"));
        }
    }
    reader.cases
}

#[derive(Default)]
struct Reader {
    world: World,
    cases: Vec<Case>,
    in_case: bool,
}

impl Reader {
    fn read(&mut self, line: &str, number: usize, place: &str) -> Option<()> {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first {
            "world" => {
                (self.world, self.in_case) = (World::default(), false);
                Some(())
            }
            "case" => {
                self.begin(rest, place);
                Some(())
            }
            _ if !self.in_case => self.world.read(first, rest),
            _ => self.cases.last_mut()?.read(first, rest, line, number),
        }
    }

    fn begin(&mut self, title: &str, place: &str) {
        let (title, anywhere) = match title.strip_suffix(", anywhere") {
            Some(title) => (title, true),
            None => (title, false),
        };
        self.in_case = true;
        self.cases.push(Case {
            place: place.to_owned(),
            title: title.to_owned(),
            anywhere,
            seed: 1,
            world: self.world.clone(),
            steps: Vec::new(),
        });
    }
}

impl Case {
    /// Whose forwarding headers are believed.
    pub fn trusted(&self) -> Vec<IpNet> {
        let said = self.world.settings.get("trustedProxies").map_or("", String::as_str);
        let networks = said.split(',').filter(|network| !network.is_empty());
        networks.map(|network| network.parse().expect("a network")).collect()
    }

    fn read(&mut self, first: &str, rest: &str, line: &str, number: usize) -> Option<()> {
        let step = match first {
            "seed" => {
                self.seed = rest.parse().ok()?;
                return Some(());
            }
            ">" => {
                self.last_request()?.told.push(header(rest)?);
                return Some(());
            }
            "wait" => Step::Wait(duration(rest)?),
            "end" => Step::End(rest.to_owned()),
            "change" => {
                let (what, how) = rest.split_once(' ')?;
                Step::Change(what.to_owned(), pairs(how)?)
            }
            _ => match line.split_once(" -> ") {
                Some((request, answers)) => Step::Ask(Request::read(request, answers)?),
                None => {
                    self.last_request()?.headers.push(header(line)?);
                    return Some(());
                }
            },
        };
        self.steps.push((number, step));
        Some(())
    }

    fn last_request(&mut self) -> Option<&mut Request> {
        match self.steps.last_mut()? {
            (_, Step::Ask(request)) => Some(request),
            (_, Step::Wait(_) | Step::Change(..) | Step::End(_)) => None,
        }
    }
}

impl Request {
    fn read(text: &str, answers: &str) -> Option<Request> {
        let mut words = text.split_whitespace();
        let (method, authority) = (words.next()?, words.next()?);
        let mut request = Request {
            method: method.to_owned(),
            authority: authority.trim_matches('"').to_owned(),
            version: "HTTP/1.1".to_owned(),
            from: IpAddr::from([127, 0, 0, 1]),
            headers: Vec::new(),
            status: 200,
            after: Duration::ZERO,
            held: false,
            answers: answers.split_whitespace().map(str::to_owned).collect(),
            told: Vec::new(),
        };
        while let Some(word) = words.next() {
            match word {
                "by" => request.version = words.next()?.to_owned(),
                "from" => request.from = words.next()?.parse().ok()?,
                "answered" => request.status = words.next()?.parse().ok()?,
                "after" => request.after = duration(words.next()?)?,
                "held" => request.held = true,
                _ => return None,
            }
        }
        Some(request)
    }
}

/// `name: value`.
fn header(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    Some((name.to_owned(), value.trim().to_owned()))
}

/// `a=1 b=2`; a name alone is `true`.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |word: &str| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (word.to_owned(), "true".to_owned()),
    };
    Some(text.split_whitespace().map(pair).collect())
}

/// `5ms`, `5s` or `5m`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    let count = digits.parse().ok()?;
    match &text[digits.len()..] {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_secs(60 * count)),
        _ => None,
    }
}
