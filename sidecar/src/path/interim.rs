//! Interim answers on their way to a client: 1xx but 100 and 101, which concern one hop each (RFC 9110 §15.2).

use std::rc::Rc;

use hyper::http::response::Parts;

/// What takes them to a client, where its connection can carry them. Told of each head before the answer itself.
pub(crate) type Interim = Rc<dyn Fn(&Parts)>;
