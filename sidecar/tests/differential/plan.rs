//! What a stream is: drawn by its client, told to its endpoint in the path.

use std::fmt;

use svc_core::draws::Draws;

/// The version of HTTP of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// Chance, from numbers that tell a conversation from all others.
pub(crate) struct Dice(Draws);

impl Dice {
    pub(crate) fn of(numbers: [u64; 4]) -> Dice {
        let seed = numbers.iter().fold(0xcbf2_9ce4_8422_2325_u64, |seed, number| {
            (seed ^ number.wrapping_add(1)).wrapping_mul(0x0100_0000_01b3)
        });
        let dice = Draws::new(seed);
        (0..4).for_each(|_| _ = dice.draw()); // near seeds begin alike
        Dice(dice)
    }

    /// A number below `count`.
    pub(crate) fn below(&self, count: usize) -> usize {
        usize::try_from((self.0.draw() >> 32) % count as u64).expect("below a usize")
    }

    pub(crate) fn of_two<T>(&self, one: T, other: T) -> T {
        if self.below(2) == 0 { one } else { other }
    }

    pub(crate) fn percent(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// The length of a body: mostly small, now and then more than any buffer on its way.
    fn body_bytes(&self) -> usize {
        match self.below(20) {
            0 => 0,
            1 => 100_000 + self.below(100_000),
            2..8 => 1_000 + self.below(20_000),
            _ => 1 + self.below(200),
        }
    }
}

/// A request and what its endpoint answers.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) id: u64,
    pub(crate) request: Body,
    pub(crate) answer: Answer,
}

impl Stream {
    pub(crate) fn new(id: u64, endpoint: Version, dice: &Dice) -> Stream {
        let framed = [Framed::Nothing, Framed::Length, Framed::Chunked, Framed::Trailers][dice.below(4)];
        Stream { id, request: Body::new(framed, dice), answer: Answer::new(endpoint, dice) }
    }

    pub(crate) fn method(&self) -> &'static str {
        if self.request.framed == Framed::Nothing { "GET" } else { "POST" }
    }

    pub(crate) fn path(&self) -> String {
        format!("/{}/{}", self.id, self.answer)
    }
}

/// How a body is framed, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) framed: Framed,
    pub(crate) bytes: usize,
}

impl Body {
    fn new(framed: Framed, dice: &Dice) -> Body {
        Body { framed, bytes: if framed == Framed::Nothing { 0 } else { dice.body_bytes() } }
    }

    /// The same, long enough to have a half.
    fn of_two_at_least(self) -> Body {
        Body { bytes: self.bytes.max(2), ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framed {
    Nothing,
    Length,
    Chunked,
    Trailers,
    /// Until the connection closes: answers over HTTP/1 alone.
    Close,
}

/// How a peer ends what has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The connection ends (FIN).
    Closed,
    /// The connection is reset (RST).
    Reset,
    /// The stream is reset (RST_STREAM), with one of three reasons.
    NoError,
    Cancel,
    Internal,
}

/// What an endpoint does with a request that it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Whole(Body),
    /// Half of the body, and then no more.
    Half(Body, Cut),
    /// No answer at all.
    Nothing(Cut),
}

impl Answer {
    fn new(endpoint: Version, dice: &Dice) -> Answer {
        let framed = match endpoint {
            Version::Http1 => {
                [Framed::Length, Framed::Chunked, Framed::Trailers, Framed::Close][dice.below(4)]
            }
            Version::Http2 => [Framed::Length, Framed::Chunked, Framed::Trailers][dice.below(3)],
        };
        let body = Body::new(framed, dice);
        let cut = match endpoint {
            Version::Http1 => dice.of_two(Cut::Closed, Cut::Reset),
            Version::Http2 => [Cut::NoError, Cut::Cancel, Cut::Internal][dice.below(3)],
        };
        match dice.below(100) {
            ..75 => Answer::Whole(body),
            // What lasts until the connection closes cannot be told from a part of it, unless it is reset.
            75..97 if framed == Framed::Close => Answer::Half(body.of_two_at_least(), Cut::Reset),
            75..97 => Answer::Half(body.of_two_at_least(), cut),
            _ => Answer::Nothing(cut),
        }
    }

    /// What [`fmt::Display`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Answer> {
        let mut words = text.split('-');
        let (kind, framed, cut, bytes) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let framed = FRAMED.iter().find(|(_, name)| *name == framed)?.0;
        let cut = CUT.iter().find(|(_, name)| *name == cut)?.0;
        let body = Body { framed, bytes: bytes.parse().ok()? };
        match kind {
            "whole" => Some(Answer::Whole(body)),
            "half" => Some(Answer::Half(body, cut)),
            "nothing" => Some(Answer::Nothing(cut)),
            _ => None,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nothing = Body { framed: Framed::Nothing, bytes: 0 };
        let (kind, body, cut) = match *self {
            Answer::Whole(body) => ("whole", body, Cut::Closed),
            Answer::Half(body, cut) => ("half", body, cut),
            Answer::Nothing(cut) => ("nothing", nothing, cut),
        };
        let framed = FRAMED.iter().find(|(framed, _)| *framed == body.framed).expect("all have a name").1;
        let cut = CUT.iter().find(|(other, _)| *other == cut).expect("all have a name").1;
        write!(f, "{kind}-{framed}-{cut}-{}", body.bytes)
    }
}

const FRAMED: [(Framed, &str); 5] = [
    (Framed::Nothing, "none"),
    (Framed::Length, "length"),
    (Framed::Chunked, "chunked"),
    (Framed::Trailers, "trailers"),
    (Framed::Close, "close"),
];

const CUT: [(Cut, &str); 5] = [
    (Cut::Closed, "closed"),
    (Cut::Reset, "reset"),
    (Cut::NoError, "noerror"),
    (Cut::Cancel, "cancel"),
    (Cut::Internal, "internal"),
];

/// The stream and the answer that a path asks for.
pub(crate) fn of_path(path: &str) -> Option<(u64, Answer)> {
    let (id, answer) = path.strip_prefix('/')?.split_once('/')?;
    Some((id.parse().ok()?, Answer::parse(answer)?))
}

/// A piece of the body of stream `id`: no two streams have the same, nor does one repeat itself.
pub(crate) fn content(id: u64, from: usize, bytes: usize) -> Vec<u8> {
    let byte =
        |at: usize| (id.wrapping_mul(31).wrapping_add((at as u64).wrapping_mul(7) ^ (at as u64 >> 7))) as u8;
    (from..from + bytes).map(byte).collect()
}

/// A body as far as it was read: its length, and a sum that another body does not have (FNV-1a).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) bytes: usize,
    pub(crate) sum: u64,
}

impl Sum {
    pub(crate) const NOTHING: Sum = Sum { bytes: 0, sum: 0xcbf2_9ce4_8422_2325 };

    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.bytes += piece.len();
        for byte in piece {
            self.sum = (self.sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// That of the whole body of stream `id`.
    pub(crate) fn of(id: u64, bytes: usize) -> Sum {
        let mut sum = Sum::NOTHING;
        sum.add(&content(id, 0, bytes));
        sum
    }
}

/// What a trailer of each message that has one says.
pub(crate) const TRAILER: (&str, &str) = ("x-last", "word");
