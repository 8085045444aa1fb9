//! Tables of raw requests: what each becomes, judged by what the endpoint saw.

use super::backend::Backend;
use super::wire::{Broken, Message};
use super::world::World;

/// What becomes of the bytes of a client.
pub(crate) enum Becomes {
    /// The endpoint sees these requests, and each is answered with 200.
    Requests(&'static [&'static str]),
    /// The same, and the connection is closed: nothing behind them is read.
    Last(&'static [&'static str]),
    /// The endpoint sees nothing; the client gets this status and the connection is closed.
    Refused(u16),
    /// The endpoint sees nothing whole; the client gets a refusal or nothing, and the connection is closed.
    Broken,
    /// The endpoint sees nothing; the client gets this answer, as [`Message`] shows it, and may go on.
    Answered(&'static str),
}

/// Bytes, and what they become.
pub(crate) struct Row {
    pub(crate) why: &'static str,
    pub(crate) sent: Vec<u8>,
    pub(crate) becomes: Becomes,
}

pub(crate) fn row(why: &'static str, sent: impl Into<Vec<u8>>, becomes: Becomes) -> Row {
    Row { why, sent: sent.into(), becomes }
}

/// Sends each row on a connection of its own.
#[track_caller]
pub(crate) fn check(rows: &[Row]) {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let wrong: Vec<String> = rows.iter().filter_map(|row| wrong(row, &backend, &world)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let last = row(
        "and nothing came late",
        "GET /last HTTP/1.1\r\nHost: web\r\n\r\n",
        Becomes::Requests(&["GET /last"]),
    );
    assert_eq!(self::wrong(&last, &backend, &world), None);
}

/// Stands in a row for the address of the Service, which is another one each time.
const ADDRESS: &str = "ADDRESS";

/// What is wrong with a row.
fn wrong(row: &Row, backend: &Backend, world: &World) -> Option<String> {
    leave_a_connection(backend, world);
    let mut client = world.client();
    client.send(&row.sent);
    let (mut expected, mut heard): (&[&str], Vec<String>) = (&[], Vec::new());
    let mut answers = |status: u16| {
        let response = client.response("GET");
        heard.push(format!("{response:?}"));
        is(response, status)
    };
    let answered = match row.becomes {
        Becomes::Requests(requests) => {
            expected = requests;
            requests.iter().all(|_| answers(200))
        }
        Becomes::Last(requests) => {
            expected = requests;
            requests.iter().all(|_| answers(200)) && client.is_closed()
        }
        Becomes::Refused(status) => answers(status) && client.is_closed(),
        Becomes::Broken => {
            let rest = client.rest(); // to the end of the connection
            rest.is_empty() || rest.starts_with("HTTP/1.1 4")
        }
        Becomes::Answered(answer) => {
            let response = client.response("GET").map(|response| response.to_string());
            response.as_deref() == Ok(answer)
        }
    };
    let address = world.address();
    let seen: Vec<String> = texts(backend).iter().map(|text| text.replace(&address, ADDRESS)).collect();
    let sent = String::from_utf8_lossy(&row.sent).chars().take(200).collect::<String>();
    (seen != expected || !answered)
        .then(|| format!("{}\n  {sent:?}\n  became {seen:?}, answered {answered} {heard:?}", row.why))
}

/// Lets a connection to the endpoint wait for the next request: what goes wrong on such a one may look as if it had been too old.
pub(crate) fn leave_a_connection(backend: &Backend, world: &World) {
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    assert!(is(client.response("GET"), 200));
    assert_eq!(texts(backend), ["GET /"]);
}

fn is(response: Result<Message, Broken>, status: u16) -> bool {
    response.is_ok_and(|response| response.status() == status)
}

/// The requests that an endpoint saw.
pub(crate) fn texts(backend: &Backend) -> Vec<String> {
    backend.take_requests().iter().map(ToString::to_string).collect()
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
