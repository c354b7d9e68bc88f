//! Families as text.

use std::fmt::Write as _;

use super::{Family, Kind, Sample};

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OpenMetrics 1.0: counters are named without `_total`, units are said, and the end is marked.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus, the only one that the textfile collector of
    /// `node_exporter` reads.
    Prometheus,
}

/// The units that a name can end in, before `_total`.
const UNITS: [&str; 2] = ["seconds", "bytes"];

// === impl Form ===

impl Form {
    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// What a scraper with this `Accept` header wants.
    #[must_use]
    pub fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// All families that have a sample.
#[must_use]
pub fn text(families: &[Family], form: Form) -> String {
    let mut text = String::with_capacity(16 << 10);
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        write(&mut text, family, form);
    }
    if form == Form::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn write(text: &mut String, family: &Family, form: Form) {
    let Family { name, kind, help, samples } = family;
    let base = name.strip_suffix("_total").unwrap_or(name);
    let titled = match (form, kind) {
        (Form::OpenMetrics, Kind::Counter) => base,
        (Form::OpenMetrics, Kind::Gauge | Kind::Histogram) | (Form::Prometheus, _) => name,
    };
    let mut line = |what: &str, said: &str| text.push_str(&format!("# {what} {titled} {said}\n"));
    // Only the newer form knows an escaped quote there.
    let quote = if form == Form::OpenMetrics { "\\\"" } else { "\"" };
    line("HELP", &escaped(help, quote));
    line("TYPE", kind.name());
    let unit = UNITS.iter().find(|unit| base.ends_with(&format!("_{unit}")));
    if let (Form::OpenMetrics, Some(unit)) = (form, unit) {
        line("UNIT", unit);
    }
    for Sample { suffix, labels, value } in samples {
        text.push_str(name);
        text.push_str(suffix);
        for (index, (label, of)) in labels.iter().enumerate() {
            text.push(if index == 0 { '{' } else { ',' });
            text.push_str(&format!("{label}=\"{}\"", escaped(of, "\\\"")));
        }
        text.push_str(if labels.is_empty() { "" } else { "}" });
        // A whole number has no point.
        let _into_memory = writeln!(text, " {value}");
    }
}

fn escaped(text: &str, quote: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', quote)
}
