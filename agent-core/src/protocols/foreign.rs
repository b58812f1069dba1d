//! What is on the wire but cannot be read as it is: a connection that begins so is of no use to copy.
//!
//! Shape: the first bytes of a direction in, what they are out. Source: RFC 8446 §5.1 (TLS records).

/// A conversation that is recognised only to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// A TLS handshake: the plaintext is elsewhere.
    Tls,
}

impl Foreign {
    /// Looks at the first bytes of a direction.
    pub(crate) fn sniff(bytes: &[u8]) -> Option<Foreign> {
        match bytes {
            // handshake record, legacy version 3.x, any length, ClientHello or ServerHello
            [22, 3, 0..=4, _, _, 1 | 2, ..] => Some(Foreign::Tls),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_handshake_is_recognised() {
        assert_eq!(Foreign::sniff(&[22, 3, 1, 2, 0, 1, 0, 1, 252]), Some(Foreign::Tls));
        assert_eq!(Foreign::sniff(b"GET / HTTP/1.1\r\n"), None);
        assert_eq!(Foreign::sniff(&[22, 3, 1]), None);
    }
}
