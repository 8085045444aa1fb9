//! Questions and answers on the wire (RFC 1035 §4, RFC 6891): hickory's codec, and what of an answer counts.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Header, Message, MessageType, Query as Asked, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};
use svc_core::dns::answer::{Data, QueryType, Resource, Srv};

use super::question::Question;

/// A question as it is sent.
#[derive(Debug)]
pub(super) struct SentQuery {
    pub(super) bytes: Vec<u8>,
    pub(super) dialect: EdnsUse,
    id: u16,
    asked: Asked,
}

/// Whether a server is told how much we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EdnsUse {
    /// With EDNS: answers of up to 1232 bytes come in a datagram.
    Edns,
    /// As servers from before 1999 understand it: answers of up to 512 bytes.
    Plain,
}

/// What a packet that came from a server is.
#[derive(Debug)]
pub(super) enum Packet {
    /// Not the answer: to another question, or by somebody who guesses.
    Unrelated,
    /// The answer, but it cannot be read to the end of what counts.
    Garbled,
    /// The answer.
    Answer(DnsAnswer),
}

/// What a server says.
#[derive(Clone, Debug)]
pub(super) struct DnsAnswer {
    pub(super) code: ResponseCode,
    /// There is more than fits.
    pub(super) truncated: bool,
    /// That of the answer, and of the section of additional records.
    pub(super) answers: Vec<Resource>,
    pub(super) additionals: Vec<Resource>,
    /// How long a denial holds (RFC 2308 §5). A zone that encloses its SOA says that there is nothing more.
    pub(super) denial: Option<Duration>,
    /// It says who else might know, and nothing of its own: the server does not recurse.
    pub(super) referral: bool,
}

impl SentQuery {
    /// Whether DNS has a way to write the name.
    pub(super) fn can_carry(question: &Question) -> bool {
        SentQuery::new(question, EdnsUse::Plain).is_ok()
    }

    /// # Errors
    /// The name cannot be asked for.
    pub(super) fn new(question: &Question, dialect: EdnsUse) -> Result<SentQuery, ProtoError> {
        let name = Name::from_ascii(format!("{}.", question.name))?;
        let asked = Asked::query(name, record_type(question.kind));
        let mut message = Message::query(); // with an id that nobody can guess
        message.metadata.recursion_desired = true;
        message.add_query(asked.clone());
        if dialect == EdnsUse::Edns {
            let mut edns = Edns::new();
            edns.set_max_payload(PAYLOAD_BYTES).set_version(0);
            message.set_edns(edns);
        }
        Ok(SentQuery { bytes: message.to_vec()?, dialect, id: message.metadata.id, asked })
    }

    /// Reads a packet of the server that was asked.
    pub(super) fn read(&self, packet: &[u8]) -> Packet {
        let mut decoder = BinDecoder::new(packet);
        let Ok(Header { metadata, counts }) = Header::read(&mut decoder) else { return Packet::Unrelated };
        let answers_us = metadata.id == self.id && metadata.message_type == MessageType::Response;
        if !answers_us || !self.is_answered_by(counts.queries, metadata.response_code, &mut decoder) {
            return Packet::Unrelated;
        }
        let mut answer = DnsAnswer {
            code: metadata.response_code,
            truncated: metadata.truncation,
            answers: Vec::new(),
            additionals: Vec::new(),
            denial: None,
            referral: false,
        };
        let mut sections = PacketReader { decoder, broken: false };
        let answers = sections.records(counts.answers);
        if sections.broken && !metadata.truncation {
            return Packet::Garbled;
        }
        let authorities = sections.records(counts.authorities);
        let additionals = sections.records(counts.additionals);
        answer.denial = authorities.iter().find_map(denial);
        let refers = authorities.iter().any(|record| record.record_type() == RecordType::NS);
        answer.referral = refers && answers.is_empty() && answer.denial.is_none() && !metadata.authoritative;
        if let Some(options) = additionals.iter().find(|record| record.record_type() == RecordType::OPT) {
            // RFC 6891 §6.1.3: the upper bits of the code.
            answer.code = ResponseCode::from((options.ttl >> 24) as u8, metadata.response_code.low());
        }
        answer.answers = answers.iter().filter_map(resource).collect();
        answer.additionals = additionals.iter().filter_map(resource).collect();
        Packet::Answer(answer)
    }

    /// An answer repeats its question, in any case of letters. Servers that cannot read a question may leave it out where they say so.
    fn is_answered_by(&self, questions: u16, code: ResponseCode, decoder: &mut BinDecoder<'_>) -> bool {
        match questions {
            0 => !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain),
            1 => Asked::read(decoder).is_ok_and(|repeated| repeated == self.asked),
            _ => false,
        }
    }
}

/// The rest of a packet. What cannot be read ends it.
struct PacketReader<'a> {
    decoder: BinDecoder<'a>,
    broken: bool,
}

impl PacketReader<'_> {
    fn records(&mut self, count: u16) -> Vec<Record> {
        let mut records = Vec::new();
        for _ in 0..count {
            match self.record() {
                Ok(record) => records.push(record),
                Err(_) => break,
            }
        }
        records
    }

    fn record(&mut self) -> Result<Record, DecodeError> {
        if self.broken {
            return Err(DecodeError::InsufficientBytes);
        }
        let record = Record::read(&mut self.decoder);
        self.broken = record.is_err();
        record
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "of the hundred types of records one matters here")]
fn denial(record: &Record) -> Option<Duration> {
    match &record.data {
        RData::SOA(soa) => Some(lifetime(record.ttl.min(soa.minimum))),
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "of the hundred types of records four matter here")]
fn resource(record: &Record) -> Option<Resource> {
    let data = match &record.data {
        RData::A(address) => Data::Address(address.0.into()),
        RData::AAAA(address) => Data::Address(address.0.into()),
        RData::CNAME(alias) => Data::Alias(text(&alias.0)),
        RData::SRV(srv) => Data::Service(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: text(&srv.target),
        }),
        _ => return None,
    };
    let resource = Resource { owner: text(&record.name), lifetime: lifetime(record.ttl), data };
    (record.dns_class == DNSClass::IN).then_some(resource)
}

/// RFC 2181 §8: a number with its highest bit set is none.
fn lifetime(seconds: u32) -> Duration {
    let is_one = i32::try_from(seconds).is_ok();
    Duration::from_secs(if is_one { seconds.into() } else { 0 })
}

/// Lower case, without the dot at the end.
fn text(name: &Name) -> Arc<str> {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').unwrap_or(&text).into()
}

fn record_type(kind: QueryType) -> RecordType {
    match kind {
        QueryType::A => RecordType::A,
        QueryType::Aaaa => RecordType::AAAA,
        QueryType::Srv => RecordType::SRV,
    }
}

/// What reaches nearly everywhere in one piece: 1280 bytes, less the heads of IPv6 and UDP (DNS flag day 2020).
const PAYLOAD_BYTES: u16 = 1232;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question() -> Question {
        Question { name: "x.example.com".into(), kind: QueryType::A }
    }

    #[test]
    fn a_name_that_dns_cannot_write_is_told() {
        let long = "a".repeat(64);
        for (name, is_one) in
            [("x.example.com", true), ("_http._tcp.x", true), ("a..b", false), (&long, false)]
        {
            assert_eq!(
                SentQuery::can_carry(&Question { name: name.into(), kind: QueryType::A }),
                is_one,
                "{name}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_left_alone(
            flags in any::<u16>(),
            counts in prop::array::uniform3(0..4_u16),
            with_question in any::<bool>(),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let query = SentQuery::new(&question(), EdnsUse::Edns).unwrap();
            let mut packet = query.bytes[..2].to_vec();
            packet.extend(flags.to_be_bytes());
            packet.extend(u16::from(with_question).to_be_bytes());
            counts.iter().for_each(|count| packet.extend(count.to_be_bytes()));
            if with_question {
                packet.extend(&query.bytes[12..query.bytes.len() - 11]); // less the OPT record
            }
            packet.extend(rest);
            if let Packet::Answer(answer) = query.read(&packet) {
                prop_assert!(flags & 0x8000 != 0, "it is an answer");
                prop_assert!(answer.answers.len() <= counts[0].into());
            }
            query.read(&packet[..packet.len() / 2]);
        }
    }
}
