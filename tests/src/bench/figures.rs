//! Figures with units and targets, for eyes and for files.
use std::fmt;

/// Everything one run has measured.
#[derive(Debug, Default)]
pub(super) struct Figures {
    rows: Vec<Figure>,
}

/// One figure. Lower is better, always.
#[derive(Debug)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    most: Option<f64>,
    other: Option<&'static str>,
}

impl Figures {
    /// A figure that has a target: at most that much.
    pub(super) fn at_most(&mut self, name: impl Into<String>, value: f64, unit: &'static str, most: f64) {
        self.take(Figure { name: name.into(), value, unit, most: Some(most), other: None });
    }

    /// A figure to know.
    pub(super) fn known(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.take(Figure { name: name.into(), value, unit, most: None, other: None });
    }

    /// A figure beside what another program needs for the same.
    pub(super) fn beside(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        most: Option<f64>,
        other: &'static str,
    ) {
        self.take(Figure { name: name.into(), value, unit, most, other: Some(other) });
    }

    fn take(&mut self, figure: Figure) {
        // Shown as it comes, because a run takes minutes.
        println!("   {figure}");
        self.rows.push(figure);
    }

    /// How many targets are met.
    pub(super) fn sum(&self) -> String {
        let targets: Vec<&Figure> = self.rows.iter().filter(|row| row.most.is_some()).collect();
        let met = targets.iter().filter(|row| row.is_met()).count();
        format!("{} figures, {met} of {} targets met", self.rows.len(), targets.len())
    }

    /// One object per figure, and the machine.
    pub(super) fn to_json(&self) -> String {
        let figures: Vec<serde_json::Value> = self
            .rows
            .iter()
            .map(|Figure { name, value, unit, most, other }| {
                serde_json::json!({ "name": name, "value": value, "unit": unit, "at_most": most, "beside": other })
            })
            .collect();
        let system = rustix::system::uname();
        let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let kernel = system.release().to_string_lossy().into_owned();
        format!("{:#}\n", serde_json::json!({ "kernel": kernel, "cpus": cpus, "figures": figures }))
    }
}

impl Figure {
    fn is_met(&self) -> bool {
        self.most.is_none_or(|most| self.value <= most)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure { name, value, unit, .. } = self;
        write!(out, "{name:<58} {value:>12.3} {unit:<14}")?;
        match self.most {
            Some(most) if self.is_met() => write!(out, " ok, target {most}")?,
            Some(most) => write!(out, " OVER the target {most}")?,
            None => {}
        }
        self.other.map_or(Ok(()), |other| write!(out, " ({other})"))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n== figures")?;
        self.rows.iter().try_for_each(|row| writeln!(out, "{row}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_is_said() {
        let mut figures = Figures::default();
        figures.at_most("a", 1.0, "µs", 2.0);
        figures.at_most("b", 3.0, "µs", 2.0);
        figures.known("c", 4.0, "µs");
        figures.beside("d", 5.0, "µs", None, "another 9");
        assert_eq!(figures.sum(), "4 figures, 1 of 2 targets met");
        let table = figures.to_string();
        assert!(table.contains("OVER the target 2") && table.contains("ok, target 2"), "{table}");
        assert!(table.contains("5.000 µs             (another 9)"), "{table}");
        assert!(figures.to_json().contains("\"at_most\": null"));
    }
}
