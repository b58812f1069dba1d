//! URLs of any text: what leaves is bounded, and redacting twice changes nothing more.
#![no_main]
use libfuzzer_sys::fuzz_target;
use wirespan_core::redact::{
    PATH_MAX_BYTES, QUERY_MAX_BYTES, QueryPolicy, REDACTED, Rules, path, query, url,
};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for policy in [QueryPolicy::Drop, QueryPolicy::Keys, QueryPolicy::Values] {
        let rules = Rules { query: policy, keep: vec!["page".to_owned()] };
        assert!(query(&text, &rules).len() <= QUERY_MAX_BYTES);
        assert!(url(&text, &rules).len() <= PATH_MAX_BYTES + QUERY_MAX_BYTES + text.len());
    }
    let redacted = query(&text, &Rules::default());
    for part in redacted.split('&').filter(|part| !part.is_empty() && *part != "...") {
        let value = part.split_once('=').map_or(part, |(_, value)| value);
        assert!(value.is_empty() || value == REDACTED, "{part}");
    }
    let once = path(&text);
    assert!(once.len() <= PATH_MAX_BYTES);
    if !once.ends_with("...") {
        assert_eq!(path(&once), once);
    }
});
