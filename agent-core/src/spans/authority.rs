//! Host and port out of an authority, a `Host` or a `Forwarded` field.
//!
//! Shape: text as on the wire in, host without brackets and port out; anything that is not one is `None`.
//! Source: RFC 3986 §3.2 (authority), RFC 7239 §4–§6 (`Forwarded`, nodes). Not here: user info, which never leaves (see `redact`).
use crate::exchange::Field;

/// An authority's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// Name or address, IPv6 without brackets.
    pub(super) host: &'a str,
    /// Port, if it says one.
    pub(super) port: Option<u16>,
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; user info is passed over.
pub(super) fn parse(text: &str) -> Option<Authority<'_>> {
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host).trim();
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = rest.strip_prefix(':').and_then(|port| port.parse().ok());
        return (!host.is_empty()).then_some(Authority { host, port });
    }
    // More than one colon without brackets is an IPv6 address, as X-Forwarded-For writes it.
    let (host, port) = match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (text, None),
    };
    (!host.is_empty()).then_some(Authority { host, port })
}

/// The first value of a field, if it is text.
pub(super) fn first<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    let (_, value) = fields.iter().find(|(key, _)| key == name)?;
    std::str::from_utf8(value).ok()
}

/// What the proxies in front say: the parameter of the first `Forwarded` element, else the first item of the `X-Forwarded-…` field.
pub(super) fn forwarded<'a>(fields: &'a [Field], parameter: &str, legacy: &str) -> Option<&'a str> {
    let standard = first(fields, "forwarded").and_then(|text| {
        text.split(',').next()?.split(';').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            key.trim().eq_ignore_ascii_case(parameter).then_some(value.trim().trim_matches('"'))
        })
    });
    let value = standard.or_else(|| first(fields, legacy)?.split(',').next().map(str::trim))?;
    // `unknown` and obfuscated nodes (`_hidden`) are no addresses.
    (!value.is_empty() && !value.eq_ignore_ascii_case("unknown") && !value.starts_with('_')).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn parts(text: &str) -> Option<(&str, Option<u16>)> {
        parse(text).map(|authority| (authority.host, authority.port))
    }

    #[test]
    fn host_and_port_are_told_apart_in_every_form() {
        assert_eq!(parts("shop.example"), Some(("shop.example", None)));
        assert_eq!(parts("shop.example:8080"), Some(("shop.example", Some(8080))));
        assert_eq!(parts("[2001:db8::1]:443"), Some(("2001:db8::1", Some(443))));
        assert_eq!(parts("2001:db8::1"), Some(("2001:db8::1", None)));
        assert_eq!(parts("user:secret@shop.example:80"), Some(("shop.example", Some(80))));
        assert_eq!(parts("shop.example:notaport"), Some(("shop.example", None)));
        assert_eq!(parts(""), None);
        assert_eq!(parts("[::1"), None);
    }

    #[test]
    fn the_first_element_of_forwarded_beats_the_legacy_field_and_hidden_nodes_are_no_addresses() {
        let field = |name: &str, value: &'static str| (name.to_owned(), Bytes::from_static(value.as_bytes()));
        let both = [
            field("x-forwarded-for", "203.0.113.9, 10.0.0.1"),
            field("forwarded", "For=\"[2001:db8::7]:4711\";proto=https, for=10.0.0.2"),
        ];
        assert_eq!(forwarded(&both, "for", "x-forwarded-for"), Some("[2001:db8::7]:4711"));
        assert_eq!(forwarded(&both[..1], "for", "x-forwarded-for"), Some("203.0.113.9"));
        assert_eq!(forwarded(&both, "host", "x-forwarded-host"), None);
        assert_eq!(forwarded(&[field("forwarded", "for=_hidden")], "for", "x-forwarded-for"), None);
        assert_eq!(forwarded(&[field("forwarded", "for=unknown")], "for", "x-forwarded-for"), None);
    }
}
