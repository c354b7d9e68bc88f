//! Domain ↔ wire.
//!
//! Domain → wire (`to_wire`) cannot fail. Wire → domain (`to_domain`) is total: every message gives
//! a value or a [`ConvertError`] that names the field, never a guess and never a panic. For events
//! the two are inverse. Wire → view (`to_view`) is total too: what this version does not know is
//! `unknown` there.

mod to_wire;

mod to_domain;

mod to_view;

mod report;

pub use report::report;
pub use to_view::{completeness, endpoint_text};

/// A message that no sensor of this version writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    #[error("read {message}: field `{field}` is absent; was it written by an older sensor?")]
    Missing { message: &'static str, field: &'static str },
    #[error(
        "read {message}: field `{field}` holds {value}, which this version does not know; update the reading \
        side"
    )]
    Unknown { message: &'static str, field: &'static str, value: i64 },
    #[error("read {message}: the act {name:?} is unknown to this version; update the reading side")]
    Act { message: &'static str, name: String },
    #[error("read {message}: field `{field}` holds {value}, which is more than {limit}; drop the message")]
    TooLarge { message: &'static str, field: &'static str, value: u64, limit: u64 },
    #[error(
        "read Endpoint: an address of {length} bytes is neither IPv4 (4) nor IPv6 (16); drop the message"
    )]
    AddressLength { length: usize },
}

#[cfg(test)]
pub(crate) mod arbitrary;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;
    use sentry_detect::event as domain;

    use super::{ConvertError, arbitrary};
    use crate::v1;

    proptest! {
        #[test]
        fn an_event_survives_the_wire(event in arbitrary::event()) {
            let bytes = v1::Event::from(&event).encode_to_vec();
            let wire = v1::Event::decode(bytes.as_slice()).unwrap();
            prop_assert_eq!(domain::Event::try_from(wire).unwrap(), event);
        }

        #[test]
        fn any_bytes_that_decode_convert_or_name_the_field(
            event in arbitrary::event(),
            cut in 0_usize..4096,
            at in 0_usize..4096,
            flip in any::<u8>(),
        ) {
            let mut bytes = v1::Event::from(&event).encode_to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= flip;
            }
            bytes.truncate(cut);
            if let Ok(wire) = v1::Event::decode(bytes.as_slice()) {
                match domain::Event::try_from(wire) {
                    Ok(event) => prop_assert!(domain::Event::try_from(v1::Event::from(&event)).is_ok()),
                    Err(error) => prop_assert!(error.to_string().starts_with("read ")),
                }
            }
        }
    }

    #[test]
    fn an_empty_message_is_named_as_incomplete() {
        let error = domain::Event::try_from(v1::Event::default()).unwrap_err();
        assert_eq!(error, ConvertError::Missing { message: "Event", field: "agent" });
    }

    #[test]
    fn a_number_from_the_future_is_refused() {
        let wire = v1::Event { agent: Some(v1::Agent::default()), ring: 7, ..v1::Event::default() };
        let error = domain::Event::try_from(wire).unwrap_err();
        assert_eq!(error, ConvertError::Unknown { message: "Event", field: "ring", value: 7 });
    }

    #[test]
    fn a_port_over_16_bits_is_refused() {
        let wire = v1::Endpoint { address: vec![127, 0, 0, 1], port: 65_536, protocol: 6 };
        let error = domain::Endpoint::try_from(wire).unwrap_err();
        assert_eq!(
            error,
            ConvertError::TooLarge { message: "Endpoint", field: "port", value: 65_536, limit: 65_535 }
        );
    }
}
