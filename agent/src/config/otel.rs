//! How the OpenTelemetry specification reads environment variables.
//!
//! Source: specification 1.5x, "Environment Variable Specification" and "OTLP Exporter Configuration". Empty means unset; what
//! cannot be read is a warning and unset. Both are the resolver's business; here are the values.
use std::time::Duration;

/// Durations are whole milliseconds.
pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .map(Duration::from_millis)
        .map_err(|_| format!("expected a whole number of milliseconds, found `{text}`"))
}

/// `key=value` pairs separated by commas, values percent-encoded, as in W3C Baggage without properties. One bad pair spoils all.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or("expected pairs such as name=value,other=value")?;
        let (name, value) = (decode(name.trim())?, decode(value.trim())?);
        if name.is_empty() {
            return Err("a pair has no name".to_owned());
        }
        pairs.retain(|(known, _)| *known != name);
        pairs.push((name, value));
    }
    Ok(pairs)
}

fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = after.split_at_checked(2);
        let decoded =
            digits.and_then(|(digits, _)| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        let (Some((_, beyond)), Some(decoded)) = (digits, decoded) else {
            return Err("a percent sign is not followed by two hexadecimal digits".to_owned());
        };
        bytes.push(decoded);
        rest = beyond;
    }
    String::from_utf8(bytes).map_err(|_| "a percent-encoded value is not UTF-8".to_owned())
}
