//! Whole traces: trees of the ledger that became one trace each, and trees that were thrown into one.
//!
//! Shape: joined rows and spans → the figures `merged`, `trees`, `whole`. A tree that shares a trace because of a false
//! parent was counted there; here it counts only when no link explains it.
use super::{
    Ledger,
    compare::{Claim, Finding, Joined, Verdict},
};
use std::collections::{BTreeMap, HashMap, HashSet};

pub(super) fn judge(joined: &Joined<'_>, verdict: &mut Verdict) {
    merged(joined, verdict);
    whole(joined, verdict);
}

/// No false link lies between the span and where its trace begins, so its trace should be that of its tree.
fn is_clean(joined: &Joined<'_>, mut span: usize) -> bool {
    // Right links follow the ledger, which has no circles.
    loop {
        match joined.claims.get(span) {
            Some(Claim::Right(parent)) => {
                let trace = |at: usize| joined.spans.get(at).map(|span| &span.trace_id);
                if trace(*parent) != trace(span) {
                    return false;
                }
                span = *parent;
            }
            Some(Claim::None) => return true,
            Some(Claim::Wire | Claim::Wrong | Claim::Orphan) | None => return false,
        }
    }
}

fn merged(joined: &Joined<'_>, verdict: &mut Verdict) {
    let mut traces: HashMap<&str, BTreeMap<usize, (usize, usize)>> = HashMap::new();
    for (at, (span, row)) in joined.spans.iter().zip(&joined.row_of).enumerate() {
        let Some(row) = row.filter(|_| is_clean(joined, at)) else { continue };
        let tree = traces.entry(&span.trace_id).or_default().entry(joined.ledger.tree(row));
        tree.and_modify(|(count, _)| *count += 1).or_insert((1, at));
    }
    let mut shared: Vec<_> = traces.into_iter().filter(|(_, trees)| trees.len() > 1).collect();
    shared.sort_unstable_by_key(|(trace, _)| *trace);
    for (_, trees) in shared {
        // The trace is that of the tree with most spans in it; every other tree is in the wrong one.
        let owner = trees.iter().max_by_key(|(tree, (count, _))| (*count, usize::MAX - **tree));
        let owner = owner.map(|(tree, (_, span))| (*tree, *span));
        for (tree, (_, span)) in &trees {
            if owner.is_some_and(|(owner, _)| owner != *tree) {
                verdict.figures.merged += 1;
                verdict.find(Finding {
                    claimed: told(joined, owner.map(|(_, span)| span)),
                    ..super::compare::judged("a trace of somebody else", joined, *tree, *span)
                });
            }
        }
    }
}

fn told(joined: &Joined<'_>, span: Option<usize>) -> String {
    span.and_then(|span| joined.spans.get(span)).map(ToString::to_string).unwrap_or_default()
}

fn whole(joined: &Joined<'_>, verdict: &mut Verdict) {
    let ledger = joined.ledger;
    let mut trees: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in (0..ledger.rows().len()).filter(|at| ledger.is_observed(*at)) {
        trees.entry(ledger.tree(at)).or_default().push(at);
    }
    let mut sizes: HashMap<&str, usize> = HashMap::new();
    for span in joined.spans {
        *sizes.entry(&span.trace_id).or_default() += 1;
    }
    for rows in trees.values() {
        verdict.figures.trees += 1;
        verdict.figures.whole += u64::from(is_whole(joined, ledger, rows, &sizes));
    }
}

fn is_whole(joined: &Joined<'_>, ledger: &Ledger, rows: &[usize], sizes: &HashMap<&str, usize>) -> bool {
    let mut traces = HashSet::new();
    let mut count = 0;
    for &row in rows {
        let Some(&at) = joined.span_of.get(&row) else {
            if ledger.is_certain(row) {
                return false;
            }
            continue;
        };
        let (Some(span), Some(claim)) = (joined.spans.get(at), joined.claims.get(at)) else { return false };
        let as_in_ledger = match ledger.parent(row) {
            Some(_) => matches!(claim, Claim::Right(_)),
            None => matches!(claim, Claim::None | Claim::Wire),
        };
        if !as_in_ledger {
            return false;
        }
        traces.insert(span.trace_id.as_str());
        count += 1;
    }
    let mut traces = traces.into_iter();
    match (traces.next(), traces.next()) {
        // Nothing in it that is not of the tree: strangers, duplicates, other trees.
        (Some(trace), None) => sizes.get(trace) == Some(&count),
        (None, _) => true,
        _ => false,
    }
}
