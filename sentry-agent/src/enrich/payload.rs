//! The first bytes of a packet → what it names: DNS (RFC 1035), TLS server name (RFC 6066).

use sentry_detect::event::{Endpoint, EventKind};
use sentry_kernel::decode::text::escape;
use simple_dns::{Packet, PacketFlag, rdata::RData};

use super::tls;

/// `IPPROTO_TCP`.
const TCP: u16 = 6;
/// Where DNS is spoken.
const DNS_PORT: u16 = 53;

/// Total: bytes that are neither are reported as what their port promises, without a name.
#[must_use]
pub fn kind(side: Endpoint, outbound: bool, bytes: &[u8]) -> EventKind {
    if side.port == DNS_PORT {
        // Over TCP each message has its length before it.
        let message = if side.protocol == TCP { bytes.get(2..).unwrap_or_default() } else { bytes };
        return dns(side, outbound, message);
    }
    let server_name = tls::server_name(bytes).map(escape).unwrap_or_default();
    EventKind::TlsHello { destination: side, server_name }
}

fn dns(server: Endpoint, outbound: bool, message: &[u8]) -> EventKind {
    let Ok(packet) = Packet::parse(message) else {
        return EventKind::Dns {
            server,
            answer: !outbound,
            name: String::new(),
            record_type: "unreadable".into(),
            code: None,
            answers: Vec::new(),
        };
    };
    let answer = packet.has_flags(PacketFlag::RESPONSE);
    let question = packet.questions.first();
    EventKind::Dns {
        server,
        answer,
        name: question.map_or_else(String::new, |question| escape(question.qname.to_string().as_bytes())),
        record_type: question.map_or_else(String::new, |question| record_type(&question.qtype)),
        code: answer.then(|| format!("{:?}", packet.rcode()).to_uppercase()),
        answers: packet.answers.iter().map(|record| value(&record.rdata)).collect(),
    }
}

fn record_type(qtype: &simple_dns::QTYPE) -> String {
    match qtype {
        simple_dns::QTYPE::TYPE(simple_dns::TYPE::Unknown(number)) => format!("TYPE{number}"),
        simple_dns::QTYPE::TYPE(known) => format!("{known:?}"),
        other => format!("{other:?}"),
    }
}

fn value(data: &RData<'_>) -> String {
    match data {
        RData::A(a) => std::net::Ipv4Addr::from(a.address).to_string(),
        RData::AAAA(aaaa) => std::net::Ipv6Addr::from(aaaa.address).to_string(),
        RData::CNAME(name) => escape(name.0.to_string().as_bytes()),
        RData::NS(name) => escape(name.0.to_string().as_bytes()),
        RData::PTR(name) => escape(name.0.to_string().as_bytes()),
        other => format!("{:?}", other.type_code()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;
    use simple_dns::{CLASS, Name, Question, ResourceRecord, TYPE, rdata};

    use super::*;

    fn server(protocol: u16) -> Endpoint {
        Endpoint { address: "192.0.2.53".parse().unwrap(), port: DNS_PORT, protocol }
    }

    fn packet(answer: bool) -> Vec<u8> {
        let mut packet = if answer { Packet::new_reply(7) } else { Packet::new_query(7) };
        let name = Name::new("www.example.org").unwrap();
        packet.questions.push(Question::new(name.clone(), TYPE::A.into(), CLASS::IN.into(), false));
        if answer {
            let address = RData::A(rdata::A { address: 0x7f00_0001 });
            packet.answers.push(ResourceRecord::new(name, CLASS::IN, 60, address));
        }
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn a_question_and_its_answer_are_told() {
        let expected = |answer: bool| EventKind::Dns {
            server: server(17),
            answer,
            name: "www.example.org".into(),
            record_type: "A".into(),
            code: answer.then(|| "NOERROR".into()),
            answers: if answer { vec!["127.0.0.1".into()] } else { Vec::new() },
        };
        assert_eq!(kind(server(17), true, &packet(false)), expected(false));
        assert_eq!(kind(server(17), false, &packet(true)), expected(true));
    }

    #[test]
    fn over_tcp_the_length_comes_first() {
        let mut bytes = vec![0, 0];
        bytes.extend(packet(false));
        let told = kind(server(TCP), true, &bytes);
        assert!(matches!(told, EventKind::Dns { name, .. } if name == "www.example.org"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            port in prop_oneof![Just(53_u16), Just(443)],
            protocol in prop_oneof![Just(6_u16), Just(17)],
        ) {
            let side = Endpoint { port, ..server(protocol) };
            let _event = kind(side, true, &bytes);
        }
    }
}
