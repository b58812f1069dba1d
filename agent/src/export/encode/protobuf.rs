//! The protobuf encoding of OTLP.
//!
//! Shape: groups → bytes. Lengths are not computed beforehand: a message is written behind as many bytes as its length most likely takes;
//! only what is shorter or longer has to move, and that is less work than walking everything twice.
//! Source: protobuf.dev "Encoding"; field numbers of opentelemetry-proto v1. Fields with default values are left out, except in a
//! oneof, where being there is the value.
use super::{Group, SCOPE, Stamped, VERSION, flags, groups, kind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_semantic_conventions::SCHEMA_URL;
use prost::encoding::{WireType, encode_key, encode_varint};
use std::sync::Arc;
use wirespan_core::spans::{Attribute, Status, Value};

/// About what a span needs: the buffer rarely grows.
const SPAN_BYTES: usize = 768;

/// An `ExportTraceServiceRequest`.
pub(in crate::export) fn protobuf(spans: &[Arc<Stamped>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(spans.len() * SPAN_BYTES);
    for group in groups(spans) {
        delimited::<3>(&mut out, 1, |out| resource_spans(out, &group));
    }
    out
}

fn resource_spans(out: &mut Vec<u8>, group: &Group<'_>) {
    message(out, 1, |out| {
        for one in &group.resource.attributes {
            attribute(out, 1, one);
        }
    });
    delimited::<3>(out, 2, |out| {
        message(out, 1, |out| {
            text(out, 1, SCOPE);
            text(out, 2, VERSION);
        });
        for stamped in &group.spans {
            delimited::<2>(out, 2, |out| span(out, stamped));
        }
        text(out, 3, SCHEMA_URL);
    });
    text(out, 3, SCHEMA_URL);
}

fn span(out: &mut Vec<u8>, stamped: &Stamped) {
    let span = &stamped.span;
    bytes(out, 1, &span.trace_id.0);
    bytes(out, 2, &span.span_id.0);
    text(out, 3, &span.trace_state);
    if let Some(parent) = span.parent_id {
        bytes(out, 4, &parent.0);
    }
    text(out, 5, &span.name);
    varint(out, 6, kind(span) as u64);
    fixed64(out, 7, stamped.start_unix_ns.to_le_bytes());
    fixed64(out, 8, stamped.end_unix_ns.to_le_bytes());
    for one in &span.attributes {
        attribute(out, 9, one);
    }
    // There even when unset, as in JSON: some readers take it for granted.
    message(out, 15, |out| {
        if let Status::Error(why) = &span.status {
            text(out, 2, why);
            varint(out, 3, StatusCode::Error as u64);
        }
    });
    encode_key(16, WireType::ThirtyTwoBit, out);
    out.extend_from_slice(&flags(span).to_le_bytes());
}

/// A `KeyValue`.
fn attribute(out: &mut Vec<u8>, field: u8, one: &Attribute) {
    let (key, value) = one;
    let is_written = match value {
        Value::Str(text) => match u8::try_from(text.len()) {
            Ok(len) => short(out, field, key, &[tag(1), len], text.as_bytes()),
            Err(_) => false,
        },
        Value::Int(number) => match number.cast_unsigned() {
            number @ 0..0x80 => short(out, field, key, &[INT, number as u8], &[]),
            number @ 0x80..0x4000 => {
                short(out, field, key, &[INT, number as u8 | 0x80, (number >> 7) as u8], &[])
            }
            _ => false,
        },
        Value::Bool(_) | Value::Double(_) | Value::Strs(_) => false,
    };
    if !is_written {
        message(out, u32::from(field), |out| {
            text(out, 1, key);
            message(out, 2, |out| any_value(out, value));
        });
    }
}

/// Starts `AnyValue.int_value`.
const INT: u8 = 3 << 3 | WireType::Varint as u8;

/// What starts a field of bytes, of a number below 16.
const fn tag(field: u8) -> u8 {
    field << 3 | WireType::LengthDelimited as u8
}

/// An attribute whose lengths all take one byte, as almost all do, and of whose value the bytes are known; false if it is longer.
fn short(out: &mut Vec<u8>, field: u8, key: &str, head: &[u8], tail: &[u8]) -> bool {
    let value_len = head.len() + tail.len();
    let len = key.len() + value_len + 4;
    let (1..0x80, 0..0x80) = (key.len(), len) else { return false };
    out.reserve(len + 2);
    out.extend_from_slice(&[tag(field), len as u8, tag(1), key.len() as u8]);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&[tag(2), value_len as u8]);
    out.extend_from_slice(head);
    out.extend_from_slice(tail);
    true
}

fn any_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Str(text) => bytes(out, 1, text.as_bytes()),
        Value::Bool(truth) => varint(out, 2, u64::from(*truth)),
        // Negative numbers are ten bytes of two's complement.
        Value::Int(number) => varint(out, 3, number.cast_unsigned()),
        Value::Double(number) => fixed64(out, 4, number.to_le_bytes()),
        Value::Strs(texts) => message(out, 5, |out| {
            for text in texts {
                message(out, 1, |out| bytes(out, 1, text.as_bytes()));
            }
        }),
    }
}

/// A message inside a message, most likely shorter than 128 bytes.
fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    delimited::<1>(out, field, write);
}

/// A message inside a message, whose length most likely takes `LEN` bytes.
fn delimited<const LEN: usize>(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    encode_key(field, WireType::LengthDelimited, out);
    let at = out.len();
    out.extend_from_slice(&[0; LEN]);
    write(out);
    let length = (out.len() - at - LEN) as u64;
    let is_as_long = length >> (7 * LEN) == 0 && (LEN == 1 || length >> (7 * (LEN - 1)) > 0);
    match out.get_mut(at..at + LEN).filter(|_| is_as_long) {
        Some(room) => room.iter_mut().zip(Varint(Some(length))).for_each(|(to, byte)| *to = byte),
        None => drop(out.splice(at..at + LEN, Varint(Some(length)))),
    }
}

/// The bytes of a varint: seven bits each, the lowest first, the high bit set on all but the last.
struct Varint(Option<u64>);

impl Iterator for Varint {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let rest = self.0?;
        self.0 = Some(rest >> 7).filter(|rest| *rest > 0);
        let more = if self.0.is_some() { 0x80 } else { 0 };
        Some((rest & 0x7f) as u8 | more)
    }
}

/// A text, if it is not empty.
fn text(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        bytes(out, field, text.as_bytes());
    }
}

fn bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, field: u32, value: u64) {
    encode_key(field, WireType::Varint, out);
    encode_varint(value, out);
}

fn fixed64(out: &mut Vec<u8>, field: u32, bytes: [u8; 8]) {
    encode_key(field, WireType::SixtyFourBit, out);
    out.extend_from_slice(&bytes);
}
