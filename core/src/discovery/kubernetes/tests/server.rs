//! A small API server: objects with versions, lists in pages, watches, and faults on request.

use super::*;

/// Services and slices, of two namespaces.
#[derive(Debug, Default)]
pub(super) struct Server {
    version: u64,
    /// Versions before this one are forgotten.
    floor: u64,
    log: Vec<Entry>,
    streams: BTreeMap<RequestId, Stream>,
    /// What becomes of the next requests.
    pub(super) faults: Vec<Fault>,
}

/// Resource, namespace, name.
type Key = (String, String, String);

#[derive(Debug)]
struct Entry {
    version: u64,
    key: Key,
    object: Option<Value>,
}

#[derive(Debug)]
struct Stream {
    of: Query,
    cursor: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Status(u16),
    /// The answer ends in its middle.
    Cut,
    Garbage,
}

#[derive(Clone, Debug)]
struct Query {
    resource: String,
    namespace: String,
    name: Option<String>,
    service: Option<String>,
    parameters: BTreeMap<String, String>,
}

impl Query {
    fn read(path: &str) -> Query {
        let (path, query) = path.split_once('?').unwrap();
        let mut steps = path.rsplit('/');
        let (resource, namespace) = (steps.next().unwrap(), steps.next().unwrap());
        let decoded = query.replace("%3D", "=").replace("%2F", "/").replace("%3A", ":");
        let pairs = decoded.split('&').map(|pair| pair.split_once('=').unwrap());
        let parameters: BTreeMap<String, String> =
            pairs.map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let selected = |parameter: &str, prefix: &str| {
            Some(parameters.get(parameter)?.strip_prefix(prefix).unwrap().to_string())
        };
        Query {
            resource: resource.into(),
            namespace: namespace.into(),
            name: selected("fieldSelector", "metadata.name="),
            service: selected("labelSelector", "kubernetes.io/service-name="),
            parameters,
        }
    }

    fn takes(&self, key: &Key, object: &Value) -> bool {
        let label = &object["metadata"]["labels"]["kubernetes.io/service-name"];
        self.resource == key.0
            && self.namespace == key.1
            && self.name.as_ref().is_none_or(|name| *name == key.2)
            && self.service.as_ref().is_none_or(|service| label == service)
    }
}

impl Server {
    pub(super) fn put(&mut self, resource: &str, namespace: &str, name: &str, object: Option<Value>) {
        let key = (resource.to_string(), namespace.to_string(), name.to_string());
        if object.is_none() && !self.objects(self.version).contains_key(&key) {
            return;
        }
        self.version += 1;
        let object = object.map(|mut object| {
            object["metadata"]["namespace"] = json!(namespace);
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            object
        });
        self.log.push(Entry { version: self.version, key, object });
    }

    /// Forgets what was.
    pub(super) fn compact(&mut self) {
        self.floor = self.version;
    }

    /// The connection is gone.
    pub(super) fn hang_up(&mut self) {
        self.streams.clear();
    }

    pub(super) fn objects(&self, version: u64) -> BTreeMap<&Key, &Value> {
        let mut objects = BTreeMap::new();
        for entry in self.log.iter().filter(|entry| entry.version <= version) {
            match &entry.object {
                Some(object) => drop(objects.insert(&entry.key, object)),
                None => drop(objects.remove(&entry.key)),
            }
        }
        objects
    }

    pub(super) fn now(&self) -> BTreeMap<&Key, &Value> {
        self.objects(self.version)
    }
}

impl World {
    /// The server answers all there is, in pieces of this size, until nothing more is asked.
    pub(super) fn serve(&mut self, server: &mut Server, size: usize) {
        for _ in 0..1_000 {
            let open: Vec<(RequestId, String)> =
                self.open.iter().map(|(id, path)| (*id, path.clone())).collect();
            let mut served = false;
            for (id, path) in open {
                if self.open.contains_key(&id) {
                    served |= self.serve_one(server, id, &path, size);
                    self.poll();
                }
            }
            if !served {
                return;
            }
        }
        panic!("a circle: {:?}", self.open);
    }

    /// Whether there was anything to say.
    fn serve_one(&mut self, server: &mut Server, id: RequestId, path: &str, size: usize) -> bool {
        if let Some(Stream { of, cursor }) = server.streams.remove(&id) {
            let (text, ended) = server.events(&of, cursor);
            let cursor = server.version;
            self.body(id, text.as_bytes(), size);
            match ended {
                true => self.close(id, End::Whole),
                false => drop(server.streams.insert(id, Stream { of, cursor })),
            }
            return !text.is_empty();
        }
        match server.faults.pop() {
            Some(Fault::Status(status)) => {
                self.kube.head(id, status, None, self.now);
                self.body(id, b"{}", size);
                self.close(id, End::Whole);
                return true;
            }
            Some(Fault::Cut) => {
                self.kube.head(id, 200, None, self.now);
                self.body(id, b"{\"kind\": \"List\", \"items\": [{", size);
                self.close(id, End::Cut);
                return true;
            }
            Some(Fault::Garbage) => {
                self.kube.head(id, 200, None, self.now);
                self.body(id, b"<html>\n", size);
                self.close(id, End::Whole);
                return true;
            }
            None => {}
        }
        if path == "/apis/discovery.k8s.io" {
            self.kube.head(id, 200, None, self.now);
            self.body(id, json!({"versions": [{"version": "v1"}]}).to_string().as_bytes(), size);
            self.close(id, End::Whole);
            return true;
        }
        let of = Query::read(path);
        if !of.parameters.contains_key("watch") {
            let (status, page) = server.page(&of);
            self.kube.head(id, status, None, self.now);
            self.body(id, page.to_string().as_bytes(), size);
            self.close(id, End::Whole);
            return true;
        }
        let cursor = of.parameters["resourceVersion"].parse().unwrap();
        let is_old = cursor < server.floor;
        // Both ways of saying so are in use.
        if is_old && cursor % 2 == 0 {
            self.kube.head(id, 410, None, self.now);
            self.close(id, End::Whole);
            return true;
        }
        self.kube.head(id, 200, None, self.now);
        server.streams.insert(id, Stream { of, cursor });
        true
    }

    fn body(&mut self, id: RequestId, bytes: &[u8], size: usize) {
        bytes.chunks(size).for_each(|piece| self.kube.data(id, piece, self.now));
    }

    fn close(&mut self, id: RequestId, end: End) {
        self.open.remove(&id);
        self.kube.end(id, end, self.now);
    }
}

impl Server {
    fn page(&self, of: &Query) -> (u16, Value) {
        let is_cached = of.parameters.get("resourceVersion").is_some_and(|version| version == "0");
        let (version, start): (u64, usize) = match of.parameters.get("continue") {
            None if is_cached => (self.version.saturating_sub(BEHIND).max(self.floor), 0),
            None => (self.version, 0),
            Some(token) => {
                let (version, start) = token.split_once('.').unwrap();
                (version.parse().unwrap(), start.parse().unwrap())
            }
        };
        if version < self.floor {
            return (410, json!({"kind": "Status", "code": 410}));
        }
        let objects = self.objects(version);
        let all: Vec<&Value> = objects
            .into_iter()
            .filter(|(key, object)| of.takes(key, object))
            .map(|(_, object)| object)
            .collect();
        // Servers have cached lists on one page, or in pages.
        let page = if is_cached && version % 2 == 0 { all.len() } else { PAGE };
        let end = (start + page).min(all.len());
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if end < all.len() {
            metadata["continue"] = json!(format!("{version}.{end}"));
        }
        (200, json!({"kind": "List", "metadata": metadata, "items": all[start..end]}))
    }

    /// The events after a version, and whether they are the last.
    fn events(&self, of: &Query, cursor: u64) -> (String, bool) {
        if cursor < self.floor {
            let line = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}});
            return (format!("{line}\n"), true);
        }
        let mut text = String::new();
        for entry in self.log.iter().filter(|entry| entry.version > cursor) {
            let objects = self.objects(entry.version - 1);
            let before = objects.get(&entry.key).filter(|object| of.takes(&entry.key, object));
            let after = entry.object.as_ref().filter(|object| of.takes(&entry.key, object));
            let (kind, object) = match (before, after) {
                (None, Some(after)) => ("ADDED", after.clone()),
                (Some(_), Some(after)) => ("MODIFIED", after.clone()),
                (Some(before), None) => {
                    let mut gone = Value::clone(before);
                    gone["metadata"]["resourceVersion"] = json!(entry.version.to_string());
                    ("DELETED", gone)
                }
                (None, None) => continue,
            };
            text += &format!("{}\n", json!({"type": kind, "object": object}));
        }
        (text, false)
    }
}

const PAGE: usize = 2;

/// How many versions a server's cache is behind.
const BEHIND: u64 = 2;
