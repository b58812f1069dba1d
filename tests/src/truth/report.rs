//! The table, for eyes and for files.
//!
//! Shape: cells as they come → a line each; all cells → a sum, what is promised, and `summary.json`.
use super::{
    classes::{Standing, standings},
    stage::Cell,
};
use crate::ledger::figures::{Figures, quantile, share};
use anyhow::Result;
use serde_json::json;
use std::{fs, path::Path};

/// The table's head.
pub fn head() -> String {
    format!(
        "{:<17} {:>4} {:>8} {:>9} {:>8} {:>4} {:>8} {:>8} {:>8} {:>9} {:>5} {:>6} {:>8} {:>9} {:>9}",
        "runtime",
        "c",
        "requests",
        "spans",
        "recall",
        "dup",
        "attr",
        "calls",
        "peers",
        "precision",
        "false",
        "orphan",
        "whole",
        "start p99",
        "end p99"
    )
}

/// A cell's line.
pub fn line(cell: &Cell) -> String {
    row(cell.runtime.name, &cell.concurrency.to_string(), cell.requests, &cell.verdict.figures)
}

/// All cells as one line.
pub fn sum(cells: &[Cell]) -> String {
    row("all", "", cells.iter().map(|cell| cell.requests).sum(), &total(cells))
}

fn total(cells: &[Cell]) -> Figures {
    let mut total = Figures::default();
    cells.iter().for_each(|cell| total.absorb(&cell.verdict.figures));
    total
}

fn row(name: &str, concurrency: &str, requests: u64, figures: &Figures) -> String {
    let ms = |sorted: &[u64]| format!("{:.2} ms", quantile(sorted, 0.99) as f64 / 1e6);
    format!(
        "{name:<17} {concurrency:>4} {requests:>8} {:>9} {:>8} {:>4} {:>8} {:>8} {:>8} {:>9} {:>5} {:>6} {:>8} {:>9} {:>9}",
        figures.rows,
        ratio(figures.recall()),
        figures.duplicates,
        ratio(figures.accuracy()),
        ratio(figures.client.recall()),
        ratio(figures.server.recall()),
        ratio(figures.precision()),
        figures.false_links(),
        figures.orphans,
        ratio(figures.completeness()),
        ms(&figures.start_errors_ns),
        ms(&figures.end_errors_ns),
    )
}

/// Never rounded up to one.
fn ratio(value: f64) -> String {
    if value >= 1.0 { "1".to_owned() } else { format!("{:.5}", (value * 1e5).floor() / 1e5) }
}

/// What is promised of the parents, and whether it is kept.
pub fn promises(cells: &[Cell]) -> String {
    let mut text = format!(
        "{:<20} {:>9} {:>9} {:>8} {:>8} {:<22} {:>8}  {}\n",
        "parents", "exist", "found", "recall", "worst", "at", "promise", "is"
    );
    for standing in standings(cells) {
        let Standing { name, exist, right, worst: (worst, at), promise } = &standing;
        let promised = promise.map_or_else(|| "-".to_owned(), |promise| promise.to_string());
        let verdict = match (promise, standing.is_met()) {
            (None, _) => "-",
            (Some(_), true) => "met",
            (Some(_), false) => "short",
        };
        text += &format!(
            "{name:<20} {exist:>9} {right:>9} {:>8} {:>8} {at:<22} {promised:>8}  {verdict}\n",
            ratio(share(*right, *exist)),
            ratio(*worst),
        );
    }
    let all = total(cells);
    let requests: u64 = cells.iter().map(|cell| cell.requests).sum();
    text + &format!(
        "{requests} requests of the load, {} spans of them; {} links claimed, {} false, precision {}",
        all.found,
        all.links().claimed,
        all.false_links(),
        ratio(all.precision()),
    )
}

/// Why parents that exist were not found, and what evidence the links have; only what there is.
pub fn why(cell: &Cell) -> Option<String> {
    let figures = &cell.verdict.figures;
    let mut parts: Vec<String> =
        figures.unparented.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    parts.extend(
        figures
            .evidence
            .iter()
            .filter(|(_, (_, wrong))| *wrong > 0)
            .map(|(evidence, (all, wrong))| format!("FALSE by {evidence}: {wrong} of {all}")),
    );
    for (what, count) in [
        ("torn", figures.torn),
        ("merged", figures.merged),
        ("strangers", figures.strangers),
        ("wrong attributes", figures.wrong_attributes),
    ] {
        if count > 0 {
            parts.push(format!("{what} {count}"));
        }
    }
    parts.extend(cell.losses.iter().map(|(name, count)| format!("loss {name} {count}")));
    (!parts.is_empty()).then(|| format!("    {}", parts.join(", ")))
}

/// Everything as one file.
pub fn write(results: &Path, cells: &[Cell]) -> Result<()> {
    fs::create_dir_all(results)?;
    let rows: Vec<_> = cells
        .iter()
        .map(|cell| {
            json!({
                "runtime": cell.runtime.name, "concurrency": cell.concurrency, "requests": cell.requests,
                "figures": cell.verdict.figures.to_json(),
            })
        })
        .collect();
    let promises: Vec<_> = standings(cells)
        .iter()
        .map(|standing| {
            let Standing { name, exist, right, worst: (worst, at), promise } = standing;
            json!({
                "class": name, "exist": exist, "right": right, "recall": share(*right, *exist),
                "worst": worst, "worst_at": at, "promise": promise, "met": standing.is_met(),
            })
        })
        .collect();
    let summary = json!({ "all": total(cells).to_json(), "promises": promises, "cells": rows });
    Ok(fs::write(results.join("summary.json"), format!("{summary:#}\n"))?)
}
