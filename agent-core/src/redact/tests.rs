//! Redaction as tables: what came, what leaves.
use super::{PATH_MAX_BYTES, QUERY_MAX_BYTES, QueryPolicy, REDACTED, Rules, path, query, url};
use proptest::prelude::*;

fn rules(query: QueryPolicy, keep: &[&str]) -> Rules {
    Rules { query, keep: keep.iter().map(|&key| key.to_owned()).collect() }
}

#[test]
fn by_default_keys_leave_and_values_do_not() {
    let rules = Rules::default();
    for (came, leaves) in [
        ("", ""),
        ("user=ada&page=2", "user=REDACTED&page=REDACTED"),
        ("q=a%20b%3Dc&empty=", "q=REDACTED&empty="),
        ("filter[name]=x;sort=-date", "filter[name]=REDACTED&sort=REDACTED"),
        ("&&a=1&", "a=REDACTED"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.x", "REDACTED"),
        ("flag", "REDACTED"),
        ("ada@example.org=1", "REDACTED=REDACTED"),
        ("4111111111111111=", "REDACTED="),
        ("%ff%fe=1&%zz=2&é=3", "REDACTED=REDACTED&REDACTED=REDACTED&REDACTED=REDACTED"),
        ("a=1=2", "a=REDACTED"),
        ("=secret", "REDACTED=REDACTED"),
    ] {
        assert_eq!(query(came, &rules), leaves, "{came}");
    }
}

#[test]
fn keys_that_the_user_keeps_leave_with_their_values_under_every_policy() {
    for policy in [QueryPolicy::Drop, QueryPolicy::Keys, QueryPolicy::Values] {
        assert!(query("token=t&Page=2", &rules(policy, &["page"])).ends_with("Page=2"));
    }
    assert_eq!(query("token=t&Page=2", &rules(QueryPolicy::Drop, &["page"])), "Page=2");
    assert_eq!(query("token=t&Page=2", &rules(QueryPolicy::Drop, &[])), "");
}

#[test]
fn with_values_allowed_credentials_still_do_not_leave() {
    let rules = rules(QueryPolicy::Values, &[]);
    for key in [
        "AWSAccessKeyId",
        "Signature",
        "sig",
        "X-Goog-Signature",
        "X-Amz-Security-Token",
        "X-Amz-Credential",
        "token",
        "access_token",
        "id_token",
        "refreshToken",
        "password",
        "user[password]",
        "client_secret",
        "api_key",
        "apikey",
        "X-Api-Key",
        "code",
        "session",
        "JSESSIONID",
        "auth",
        "key",
        "pass%77ord",
    ] {
        assert_eq!(query(&format!("{key}=x"), &rules), format!("{key}=REDACTED"));
    }
    for (came, leaves) in [
        ("page=2&sort=name", "page=2&sort=name"),
        ("flag&page=2", "flag&page=2"),
        ("next=https%3A%2F%2Fa%2F%3Ftoken%3Dx", "next=REDACTED"),
        ("next=https://ada:pw@a/", "next=REDACTED"),
        ("h=eyJhbGciOiJIUzI1NiJ9.e30.x", "h=REDACTED"),
        ("h=Bearer%20abc", "h=REDACTED"),
    ] {
        assert_eq!(query(came, &rules), leaves, "{came}");
    }
}

#[test]
fn user_info_parameters_and_fragments_do_not_leave() {
    let rules = Rules::default();
    for (came, leaves) in [
        ("https://ada:pw@www.example.com/a?b=c#d", "https://REDACTED:REDACTED@www.example.com/a?b=REDACTED"),
        ("https://ada@www.example.com", "https://REDACTED@www.example.com"),
        ("http://www.example.com:8080/x@y", "http://www.example.com:8080/x@y"),
        ("http://a@b@c/", "http://REDACTED@c/"),
        ("/a/b?c=d", "/a/b?c=REDACTED"),
        ("/login;jsessionid=ABC/next;v?x", "/login;jsessionid=REDACTED/next;v?REDACTED"),
        ("*", "*"),
        ("", ""),
    ] {
        assert_eq!(url(came, &rules), leaves, "{came}");
    }
    assert_eq!(path("/a;x=1;y=2/b?token=t"), "/a;x=REDACTED;y=REDACTED/b");
}

#[test]
fn what_is_too_long_is_cut_and_says_so() {
    let long: String = (0..500).map(|n| format!("key{n}=v&")).collect();
    let cut = query(&long, &Rules::default());
    assert!(cut.len() <= QUERY_MAX_BYTES && cut.ends_with("=REDACTED&..."), "{cut}");
    let cut = path(&format!("/{}", "é".repeat(2000)));
    assert!(cut.len() <= PATH_MAX_BYTES && cut.ends_with("é..."));
}

proptest! {
    #[test]
    fn no_value_survives_the_default(pairs in proptest::collection::vec(("[a-z]{1,8}", "[A-Z0-9%+/.]{1,20}"), 1..8)) {
        let came: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let leaves = query(&came.join("&"), &Rules::default());
        prop_assert!(leaves.split('&').all(|pair| pair.split_once('=').is_some_and(|(_, value)| value == REDACTED)));
    }

    #[test]
    fn no_text_makes_it_panic_or_grow_beyond_its_bounds(text in "\\PC{0,300}") {
        for policy in [QueryPolicy::Drop, QueryPolicy::Keys, QueryPolicy::Values] {
            prop_assert!(query(&text, &rules(policy, &["a"])).len() <= QUERY_MAX_BYTES);
            let _ = url(&text, &rules(policy, &[]));
        }
        prop_assert!(path(&text).len() <= PATH_MAX_BYTES);
    }
}
