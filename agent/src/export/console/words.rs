//! What a line says: a span in few words, clean and cut to its column.
//!
//! Shape: a span or a text → text. Invariant: no character that a terminal obeys leaves this file.
use super::super::stamped::Stamped;
use opentelemetry_semantic_conventions::attribute as key;
use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
use wirespan_core::spans::Status;

/// `GET /orders/7`, `GET product:5000/products/7`, or the span's name.
pub(super) fn what_was_asked(stamped: &Stamped) -> String {
    let Some(method) = stamped.text(key::HTTP_REQUEST_METHOD) else { return clean(&stamped.span.name) };
    let method = stamped.text(key::HTTP_REQUEST_METHOD_ORIGINAL).unwrap_or(method);
    let target = match stamped.text(key::URL_FULL) {
        Some(full) => full.split_once("://").map_or(full, |(_, rest)| rest).split('?').next(),
        None => stamped.text(key::URL_PATH),
    };
    match target {
        Some(target) => clean(&format!("{method} {target}")),
        None => clean(&stamped.span.name),
    }
}

/// The status code, or why there is none.
pub(super) fn status(stamped: &Stamped) -> String {
    match stamped.int(key::HTTP_RESPONSE_STATUS_CODE) {
        Some(code) => code.to_string(),
        None => clean(stamped.text(key::ERROR_TYPE).unwrap_or_default()),
    }
}

pub(super) fn is_error(stamped: &Stamped) -> bool {
    stamped.span.status != Status::Unset
}

/// Without characters that a terminal obeys or that turn the direction of writing.
pub(super) fn clean(text: &str) -> String {
    let is_harmless = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if is_harmless(&c) { c } else { '?' }).collect()
}

/// No wider than `columns`; what is cut ends with a mark.
pub(super) fn cut(text: &str, columns: usize, ellipsis: char) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let mut kept = String::new();
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > columns {
            break;
        }
        kept.push(c);
    }
    if columns > 0 {
        kept.push(ellipsis);
    }
    kept
}

pub(super) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// UTC, to the millisecond.
pub(super) fn time_of_day(unix_ns: u64) -> String {
    let ms = unix_ns / 1_000_000;
    let (s, ms) = (ms / 1_000 % 86_400, ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}Z", s / 3_600, s / 60 % 60, s % 60)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}
