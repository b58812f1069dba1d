//! Header fields of any bytes: trace context and baggage.
//!
//! Input: lines `name: value`. Whatever comes, nothing panics, no id is zero, nothing is larger than its limit, and what was kept
//! of a tracestate reads back the same.
#![no_main]
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wirespan_core::{
    exchange::Field,
    propagate::{
        BAGGAGE_MAX_MEMBERS, Context, DEFAULT_ORDER, Format, TRACESTATE_MAX_BYTES, baggage, extract,
    },
};

fuzz_target!(|data: &[u8]| {
    let fields: Vec<Field> = data.split(|&byte| byte == b'\n').filter_map(field).collect();
    for first in 0..DEFAULT_ORDER.len() {
        let mut order = DEFAULT_ORDER;
        order.rotate_left(first);
        if let Some(context) = extract(&fields, &order).context {
            check(&context);
        }
    }
    assert!(baggage(&fields).members.len() <= BAGGAGE_MAX_MEMBERS);
});

fn field(line: &[u8]) -> Option<Field> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = line.split_at(colon);
    let value = value.get(1..)?.trim_ascii();
    Some((String::from_utf8_lossy(name).to_ascii_lowercase(), Bytes::copy_from_slice(value)))
}

fn check(context: &Context) {
    assert_ne!(context.trace_id.0, [0; 16]);
    assert!(context.parent.is_some() || context.format == Format::XRay);
    assert!(context.parent.is_none_or(|parent| parent.0 != [0; 8]));
    assert!(context.trace_state.len() <= TRACESTATE_MAX_BYTES);
    if context.format == Format::W3c {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let parent = context.parent.map(|parent| hex(&parent.0)).unwrap_or_default();
        let traceparent = format!("00-{}-{parent}-{:02x}", hex(&context.trace_id.0), context.flags);
        let fields: [Field; 2] = [
            ("traceparent".to_owned(), Bytes::from(traceparent)),
            ("tracestate".to_owned(), Bytes::from(context.trace_state.clone())),
        ];
        assert_eq!(extract(&fields, &[Format::W3c]).context.as_ref(), Some(context));
    }
}
