//! Which header fields are retained.
//!
//! Shape: lower-case names in, look-up by a name in any case out. A look-up compares with the names of the same length only,
//! so a field nobody asked for costs a few nanoseconds and no hash.

/// Names of header fields to retain.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeepList {
    by_length: Vec<Vec<String>>,
    /// A bit for each lower-case first byte, modulo 64.
    firsts: u64,
}

impl KeepList {
    /// A list of `names`; their case does not matter.
    pub(crate) fn new(names: &[String]) -> KeepList {
        let longest = names.iter().map(String::len).max().unwrap_or(0);
        let mut by_length = vec![Vec::new(); longest + 1];
        let mut firsts = 0;
        for name in names {
            firsts |= name.bytes().next().map_or(0, bit);
            let Some(same) = by_length.get_mut(name.len()) else { continue };
            let name = name.to_ascii_lowercase();
            if !same.contains(&name) {
                same.push(name);
            }
        }
        KeepList { by_length, firsts }
    }

    /// May a name that begins so be on the list?
    pub(crate) fn begins(&self, first: u8) -> bool {
        self.firsts & bit(first) != 0
    }

    /// The lower-case form of `name`, if it is on the list.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&str> {
        let same = self.by_length.get(name.len())?;
        same.iter().find(|kept| kept.as_bytes().eq_ignore_ascii_case(name)).map(String::as_str)
    }
}

fn bit(first: u8) -> u64 {
    1 << (first.to_ascii_lowercase() & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_others_are_not() {
        let list = KeepList::new(&["traceparent".into(), "User-Agent".into()]);
        assert_eq!(list.find(b"TraceParent"), Some("traceparent"));
        assert_eq!(list.find(b"user-agent"), Some("user-agent"));
        assert_eq!(list.find(b"user-agenu"), None);
        assert!(list.begins(b'T') && list.begins(b't') && list.begins(b'u'));
        assert!(!list.begins(b'a'));
        assert_eq!(list.find(b"a-name-that-is-longer-than-any"), None);
        assert_eq!(list.find(b""), None);
    }
}
