//! The server name in the first bytes of a TLS connection (RFC 8446 §4.1.2, RFC 6066 §3).
//!
//! Our own reader, because the bytes may end anywhere: a hello can be longer than a packet, and a
//! parser that wants it whole would give no name. It copies nothing, reads each byte at most once,
//! and cannot fail otherwise than by `None`.

/// Reads big-endian numbers and slices from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// A vector with its length before it, or as much of it as is there.
    fn vector(&mut self, length_bytes: usize) -> Option<&'a [u8]> {
        let length = self.number(length_bytes)?;
        self.take(length.min(self.0.len()))
    }
}

/// True for the start of a TLS handshake record.
#[must_use]
pub fn is_hello(bytes: &[u8]) -> bool {
    /// `ContentType.handshake`, major version 3; then, behind the record header,
    /// `HandshakeType.client_hello`.
    const HANDSHAKE: u8 = 22;
    matches!(bytes, [HANDSHAKE, 3, _, _, _, 1, ..])
}

/// The host name, or `None` when there is none in these bytes.
#[must_use]
pub fn server_name(bytes: &[u8]) -> Option<&[u8]> {
    const SERVER_NAME: usize = 0;
    const HOST_NAME: usize = 0;
    if !is_hello(bytes) {
        return None;
    }
    let mut hello = Reader(bytes);
    // Record header (5), handshake type and length (4), version (2), random (32).
    hello.take(5 + 4 + 2 + 32)?;
    let _session = hello.vector(1)?;
    let _cipher_suites = hello.vector(2)?;
    let _compressions = hello.vector(1)?;
    let mut extensions = Reader(hello.vector(2)?);
    loop {
        let extension = extensions.number(2)?;
        let content = extensions.vector(2)?;
        if extension == SERVER_NAME {
            let mut names = Reader(Reader(content).vector(2)?);
            let kind = names.number(1)?;
            let length = names.number(2)?;
            return (kind == HOST_NAME).then(|| names.take(length)).flatten();
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_length(bytes: usize, content: &[u8]) -> Vec<u8> {
        let mut vector = content.len().to_be_bytes()[8 - bytes..].to_vec();
        vector.extend(content);
        vector
    }

    /// A hello with an unknown extension before the name.
    fn hello(name: &[u8]) -> Vec<u8> {
        let mut names = vec![0];
        names.extend(with_length(2, name));
        let mut extensions = vec![0xfe, 0x0d];
        extensions.extend(with_length(2, &[7; 40]));
        extensions.extend([0, 0]);
        extensions.extend(with_length(2, &with_length(2, &names)));
        let mut body = vec![3, 3];
        body.extend([9; 32]);
        body.extend(with_length(1, &[5; 32]));
        body.extend(with_length(2, &[0x13, 1]));
        body.extend(with_length(1, &[0]));
        body.extend(with_length(2, &extensions));
        let mut handshake = vec![1];
        handshake.extend(with_length(3, &body));
        let mut record = vec![22, 3, 1];
        record.extend(with_length(2, &handshake));
        record
    }

    #[test]
    fn the_name_is_found() {
        assert_eq!(server_name(&hello(b"example.org")).unwrap(), b"example.org");
    }

    #[test]
    fn a_hello_that_is_cut_behind_the_name_still_names() {
        let mut bytes = hello(b"example.org");
        let needed = bytes.len();
        bytes.extend([1; 100]);
        assert_eq!(server_name(&bytes[..needed]).unwrap(), b"example.org");
        assert_eq!(server_name(&bytes[..needed - 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_part_of_themselves_or_nothing(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..400),
            looks_right in any::<bool>(),
        ) {
            if looks_right && bytes.len() > 6 {
                bytes[..6].copy_from_slice(&[22, 3, 1, 0, 99, 1]);
            }
            if let Some(name) = server_name(&bytes) {
                let is_in = bytes.windows(name.len().max(1)).any(|window| name.is_empty() || window == name);
                prop_assert!(is_in);
            }
        }
    }
}
