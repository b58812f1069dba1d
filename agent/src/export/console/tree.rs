//! Spans in the order of a tree.
//!
//! Shape: the spans of one trace → [`Row`]s, depth first, children by start. A parent that is not among them gets a row of its own.
//! Hostile input (a span that is its own ancestor, equal ids) is shown, each span exactly once.
use super::super::stamped::Stamped;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};
use wirespan_core::spans::{Evidence, SpanId};

/// One line of a tree.
pub(super) struct Row<'a> {
    /// For each level above: does a sibling follow further down? The last is the row's own.
    pub(super) branches: Vec<bool>,
    /// The row above it in the tree is a span of the same service.
    pub(super) is_at_home: bool,
    pub(super) what: What<'a>,
}

/// What a line shows.
pub(super) enum What<'a> {
    Span(&'a Stamped),
    /// A parent that is not here.
    Absent {
        id: SpanId,
        is_remote: bool,
    },
}

/// Is there a beginning, and does every other span have its parent? A parent that was only on the wire belongs to somebody else.
pub(super) fn is_whole(spans: &[Arc<Stamped>]) -> bool {
    let ids: HashSet<SpanId> = spans.iter().map(|stamped| stamped.span.span_id).collect();
    let mut has_beginning = false;
    for Stamped { span, .. } in spans.iter().map(AsRef::as_ref) {
        match span.parent_id {
            Some(parent) if ids.contains(&parent) => {}
            Some(_) if span.evidence != Evidence::Wire => return false,
            _ => has_beginning = true,
        }
    }
    has_beginning
}

/// The tree, line by line.
pub(super) fn rows(spans: &[Arc<Stamped>]) -> Vec<Row<'_>> {
    let mut sorted: Vec<&Stamped> = spans.iter().map(AsRef::as_ref).collect();
    sorted.sort_by_key(|stamped| (stamped.start_unix_ns, std::cmp::Reverse(stamped.end_unix_ns)));
    let ids: HashSet<SpanId> = sorted.iter().map(|stamped| stamped.span.span_id).collect();
    let mut forest = Forest { rows: Vec::new(), seen: HashSet::new(), children: HashMap::new() };
    let mut absent: BTreeMap<(u64, SpanId), Vec<&Stamped>> = BTreeMap::new();
    let mut first_of: HashMap<SpanId, u64> = HashMap::new();
    let mut beginnings = Vec::new();
    for stamped in &sorted {
        match stamped.span.parent_id {
            None => beginnings.push(*stamped),
            Some(parent) if ids.contains(&parent) => forest.children.entry(parent).or_default().push(stamped),
            Some(parent) => {
                let first = *first_of.entry(parent).or_insert(stamped.start_unix_ns);
                absent.entry((first, parent)).or_default().push(stamped);
            }
        }
    }
    for beginning in beginnings {
        forest.grow(beginning, &[]);
    }
    for ((_, id), orphans) in absent {
        let is_remote = orphans.iter().all(|orphan| orphan.span.evidence == Evidence::Wire);
        forest.rows.push(Row {
            branches: Vec::new(),
            is_at_home: false,
            what: What::Absent { id, is_remote },
        });
        let last = orphans.len().saturating_sub(1);
        for (index, orphan) in orphans.into_iter().enumerate() {
            forest.grow(orphan, &[index < last]);
        }
    }
    // What is left hangs in a circle.
    for stamped in sorted {
        forest.grow(stamped, &[]);
    }
    forest.rows
}

struct Forest<'a> {
    rows: Vec<Row<'a>>,
    seen: HashSet<*const Stamped>,
    children: HashMap<SpanId, Vec<&'a Stamped>>,
}

impl<'a> Forest<'a> {
    /// Adds a span and all that hangs on it. A stack of its own: depth is somebody else's choice.
    fn grow(&mut self, root: &'a Stamped, branches: &[bool]) {
        let mut open = vec![(root, branches.to_vec(), None)];
        while let Some((stamped, branches, above)) = open.pop() {
            if !self.seen.insert(stamped) {
                continue;
            }
            let service = stamped.resource.service_name.as_str();
            let children = self.children.get(&stamped.span.span_id).map_or(&[][..], Vec::as_slice);
            let last = children.len().saturating_sub(1);
            for (index, child) in children.iter().enumerate().rev() {
                let mut below = branches.clone();
                below.push(index < last);
                open.push((child, below, Some(service)));
            }
            let is_at_home = above == Some(service);
            self.rows.push(Row { branches, is_at_home, what: What::Span(stamped) });
        }
    }
}
