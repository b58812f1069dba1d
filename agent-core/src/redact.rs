//! Takes out of URLs what must not leave the node.
//!
//! Shape: text as on the wire in, text for `url.query`, `url.path` and `url.full` out. By default no value of a query leaves: keys
//! say which page was asked for, values say who asked. What cannot be told from a value (a pair without `=`, a key that is no
//! identifier) counts as one. Lengths are bounded; what is cut ends in `...`.
//! Source: OpenTelemetry semantic conventions, `url.full` and `url.query`: user info and known signatures become `REDACTED`.
//! Not here: header values (only names on the allow-list are kept at all), SQL (see `protocols`).
#[cfg(test)]
mod tests;

use crate::percent;

/// What stands in place of a value.
pub const REDACTED: &str = "REDACTED";
/// Bytes of a redacted query.
pub const QUERY_MAX_BYTES: usize = 1024;
/// Bytes of a path.
pub const PATH_MAX_BYTES: usize = 2048;
/// A longer key is more likely a value.
const KEY_MAX_BYTES: usize = 64;

/// How much of a query leaves the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryPolicy {
    /// Nothing: no query at all.
    Drop,
    /// Keys; every value is [`REDACTED`].
    #[default]
    Keys,
    /// Keys and values, except values of keys that name a credential and values that look like one.
    Values,
}

/// What to redact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The policy for keys that are not kept.
    pub query: QueryPolicy,
    /// Keys whose values always leave, compared without case.
    pub keep: Vec<String>,
}

/// Keys that name a credential, lower case without separators.
const CREDENTIAL_KEYS: [&str; 22] = [
    "auth",
    "authorization",
    "awsaccesskeyid",
    "bearer",
    "code",
    "codeverifier",
    "cookie",
    "csrf",
    "id",
    "jwt",
    "key",
    "nonce",
    "otp",
    "pass",
    "pin",
    "pwd",
    "sas",
    "sid",
    "sig",
    "state",
    "ticket",
    "xsrf",
];
/// A key with one of these inside names a credential too.
const CREDENTIAL_WORDS: [&str; 12] = [
    "accesskey",
    "apikey",
    "assertion",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "session",
    "signature",
    "token",
];

/// The query (without `?`) as it may leave; empty if nothing may.
pub fn query(query: &str, rules: &Rules) -> String {
    let mut redacted = String::with_capacity(query.len().min(QUERY_MAX_BYTES));
    if rules.query == QueryPolicy::Drop && rules.keep.is_empty() {
        return redacted;
    }
    for pair in query.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = redact_pair(pair, rules) else { continue };
        if redacted.len() + key.len() + value.unwrap_or_default().len() + "&=&...".len() > QUERY_MAX_BYTES {
            push_part(&mut redacted, "...");
            break;
        }
        push_part(&mut redacted, key);
        if let Some(value) = value {
            redacted.push('=');
            redacted.push_str(value);
        }
    }
    redacted
}

/// A path as it may leave: values of `;key=value` parameters (session ids live there) are taken out, and a query if one is still on it.
pub fn path(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut redacted = String::with_capacity(path.len().min(PATH_MAX_BYTES));
    for (index, part) in path.split(';').enumerate() {
        if index == 0 {
            redacted.push_str(part);
            continue;
        }
        // A parameter ends with its segment: what follows the next slash is path again.
        let (parameter, rest) = part.find('/').map_or((part, ""), |slash| part.split_at(slash));
        redacted.push(';');
        match parameter.split_once('=') {
            Some((key, _)) => redacted.extend([key, "=", REDACTED]),
            None => redacted.push_str(parameter),
        }
        redacted.push_str(rest);
    }
    cut(redacted, PATH_MAX_BYTES)
}

/// A whole URL as it may leave: user info, path and query redacted, fragment dropped.
pub fn url(url: &str, rules: &Rules) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (before, asked) = url.split_once('?').map_or((url, None), |(before, asked)| (before, Some(asked)));
    let (scheme, rest) = before.split_once("://").map_or(("", before), |(scheme, rest)| (scheme, rest));
    let mut redacted = String::with_capacity(url.len().min(PATH_MAX_BYTES));
    if scheme.is_empty() {
        redacted.push_str(&path(rest));
    } else {
        let (authority, tail) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        redacted.extend([scheme, "://"]);
        match authority.rsplit_once('@') {
            Some((user, host)) if user.contains(':') => redacted.extend([REDACTED, ":", REDACTED, "@", host]),
            Some((_, host)) => redacted.extend([REDACTED, "@", host]),
            None => redacted.push_str(authority),
        }
        redacted.push_str(&path(tail));
    }
    if let Some(asked) = asked.map(|asked| query(asked, rules)).filter(|asked| !asked.is_empty()) {
        redacted.push('?');
        redacted.push_str(&asked);
    }
    redacted
}

/// A pair's key and value as they may leave.
fn redact_pair<'a>(pair: &'a str, rules: &Rules) -> Option<(&'a str, Option<&'a str>)> {
    let (key, value) = pair.split_once('=').map_or((pair, None), |(key, value)| (key, Some(value)));
    let decoded = percent::decode_text(key.as_bytes());
    if rules.keep.iter().any(|kept| kept.eq_ignore_ascii_case(&decoded)) {
        return Some((key, value));
    }
    match rules.query {
        QueryPolicy::Drop => None,
        _ if !is_identifier(&decoded) => Some((REDACTED, value.map(hide))),
        QueryPolicy::Keys => match value {
            Some(value) => Some((key, Some(hide(value)))),
            None => Some((REDACTED, None)),
        },
        QueryPolicy::Values if names_credential(&decoded) => Some((key, value.map(hide))),
        QueryPolicy::Values => Some((key, value.map(hide_credential))),
    }
}

/// An empty value is no secret, and `page=` differs from `page=2`.
fn hide(value: &str) -> &str {
    if value.is_empty() { value } else { REDACTED }
}

fn hide_credential(value: &str) -> &str {
    let decoded = percent::decode_text(value.as_bytes());
    // A value with a pair inside may hide a credential in it; a JWT begins with `{"` in base64.
    let hides = decoded.contains('=')
        || decoded.contains('@')
        || decoded.starts_with("eyJ")
        || decoded.contains("Bearer ");
    if hides { REDACTED } else { value }
}

fn is_identifier(key: &str) -> bool {
    key.len() <= KEY_MAX_BYTES
        && key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '$')
        && key.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.[]$:".contains(letter))
}

fn names_credential(key: &str) -> bool {
    let plain: String =
        key.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    CREDENTIAL_KEYS.contains(&plain.as_str()) || CREDENTIAL_WORDS.iter().any(|word| plain.contains(word))
}

fn push_part(text: &mut String, part: &str) {
    if !text.is_empty() {
        text.push('&');
    }
    text.push_str(part);
}

fn cut(mut text: String, max_bytes: usize) -> String {
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes.saturating_sub("...".len())));
        text.push_str("...");
    }
    text
}
