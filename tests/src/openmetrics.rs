//! A strict reader of metrics: what a scraper may refuse is an error here, with its line.

use std::collections::{BTreeMap, BTreeSet};

/// In which form the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Prometheus,
}

/// Everything that a text says.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Names as in the documentation: of counters with `_total`.
    pub families: BTreeSet<String>,
    /// By name and labels, in the order of the labels' names: `name{a="x",b="y"}`.
    series: BTreeMap<String, f64>,
}

/// What is said of the family that is being read.
#[derive(Debug, Default)]
struct Family {
    name: String,
    kind: String,
    has_help: bool,
}

impl Metrics {
    /// Reads a text.
    ///
    /// # Panics
    /// When a rule of the form is broken.
    #[must_use]
    pub fn read(text: &str, form: Form) -> Self {
        match read(text, form) {
            Ok(metrics) => metrics,
            Err((line, what)) => panic!("line {line}: {what}, in\n{text}"),
        }
    }

    /// The number of a series, labels in the order of their names.
    ///
    /// # Panics
    /// When there is no such series.
    #[must_use]
    pub fn number(&self, series: &str) -> f64 {
        self.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.series))
    }

    /// The same, where it may be absent.
    #[must_use]
    pub fn get(&self, series: &str) -> Option<f64> {
        self.series.get(series).copied()
    }

    /// Of all series of a name.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        let of_name = self.series.iter().filter(|(series, _)| series.split('{').next() == Some(name));
        of_name.map(|(_, value)| value).sum()
    }
}

fn read(text: &str, form: Form) -> Result<Metrics, (usize, String)> {
    let (mut metrics, mut family) = (Metrics::default(), Family::default());
    let mut known = BTreeSet::new();
    let mut ended = false;
    if !text.ends_with('\n') {
        return Err((0, "the last line has no end".into()));
    }
    for (index, line) in text.lines().enumerate() {
        let mut step = || -> Result<(), String> {
            if ended {
                return Err("there is something behind the end".into());
            }
            if line == "# EOF" {
                ended = true;
                return if form == Form::OpenMetrics { Ok(()) } else { Err("this form has no end".into()) };
            }
            match line.strip_prefix("# ") {
                Some(said) => about(said, form, &mut family, &mut known),
                None => sample(line, form, &family, &mut metrics),
            }
        };
        step().map_err(|what| (index + 1, what))?;
    }
    if form == Form::OpenMetrics && !ended {
        return Err((0, "the end is not marked".into()));
    }
    histograms(&metrics).map_err(|what| (0, what))?;
    Ok(metrics)
}

fn about(said: &str, form: Form, family: &mut Family, known: &mut BTreeSet<String>) -> Result<(), String> {
    let mut words = said.splitn(3, ' ');
    let (Some(what), Some(name), Some(rest)) = (words.next(), words.next(), words.next()) else {
        return Err("a comment of another form".into());
    };
    if family.name != name {
        if !known.insert(name.to_owned()) {
            return Err(format!("the family {name} comes twice"));
        }
        if !is_name(name) {
            return Err(format!("{name} is no name"));
        }
        *family = Family { name: name.to_owned(), ..Family::default() };
    }
    match what {
        "HELP" if family.has_help => Err("HELP comes twice".into()),
        "HELP" => {
            family.has_help = true;
            unescaped(rest, form == Form::OpenMetrics).map(drop)
        }
        "TYPE" if !family.kind.is_empty() => Err("TYPE comes twice".into()),
        "TYPE" if !["counter", "gauge", "histogram"].contains(&rest) => Err(format!("the type {rest}")),
        "TYPE" => {
            rest.clone_into(&mut family.kind);
            let is_total = name.ends_with("_total");
            match form {
                Form::OpenMetrics if is_total => Err("a family is named without _total".into()),
                Form::Prometheus if is_total != (rest == "counter") => Err("_total is for counters".into()),
                Form::OpenMetrics | Form::Prometheus => Ok(()),
            }
        }
        "UNIT" if form == Form::OpenMetrics && name.ends_with(&format!("_{rest}")) => Ok(()),
        _ => Err(format!("{what} {rest}")),
    }
}

fn sample(line: &str, form: Form, family: &Family, metrics: &mut Metrics) -> Result<(), String> {
    if family.kind.is_empty() || !family.has_help {
        return Err("a sample without TYPE and HELP".into());
    }
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    let (labels, value) = labels(rest)?;
    let suffix = name.strip_prefix(&family.name).ok_or_else(|| format!("{name} is of no family"))?;
    let of_kind = match (family.kind.as_str(), form) {
        ("counter", Form::OpenMetrics) => suffix == "_total",
        ("histogram", _) => ["_bucket", "_sum", "_count"].contains(&suffix),
        _ => suffix.is_empty(),
    };
    if !of_kind {
        return Err(format!("{name} is not a sample of a {}", family.kind));
    }
    if (suffix == "_bucket") != labels.contains_key("le") {
        return Err("le is for buckets".into());
    }
    let number: f64 = value.parse().map_err(|error| format!("{value}: {error}"))?;
    if !number.is_finite() || (family.kind != "gauge" && number < 0.0) {
        return Err(format!("{value} of a {}", family.kind));
    }
    let is_counter = family.kind == "counter" && form == Form::OpenMetrics;
    metrics.families.insert(format!("{}{}", family.name, if is_counter { "_total" } else { "" }));
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    match metrics.series.insert(format!("{name}{labels}"), number) {
        None => Ok(()),
        Some(_) => Err(format!("the series {name}{labels} comes twice")),
    }
}

/// Labels, and the value behind them.
fn labels(text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else { return Ok((labels, text.trim_start_matches(' '))) };
    loop {
        let (name, behind) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name) || name.contains(':') {
            return Err(format!("{name:?} is no name of a label"));
        }
        let mut escaped = false;
        let end = behind.find(|c: char| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (value, behind) = behind.split_at(end.ok_or("a value without an end")?);
        if labels.insert(name.to_owned(), unescaped(value, true)?).is_some() {
            return Err(format!("the label {name} comes twice"));
        }
        rest = &behind[1..];
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok((labels, rest.strip_prefix("} ").ok_or("labels without an end")?)),
        }
    }
}

fn unescaped(text: &str, with_quotes: bool) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text.chars());
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('\\') => out.push('\\'),
                Some('n') => out.push('\n'),
                Some('"') if with_quotes => out.push('"'),
                other => return Err(format!("the escape {other:?}")),
            },
            '"' if with_quotes => return Err("a quote that is not escaped".into()),
            other => out.push(other),
        }
    }
    Ok(out)
}

fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

/// Buckets grow, and the last one has all.
fn histograms(metrics: &Metrics) -> Result<(), String> {
    let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (series, count) in &metrics.series {
        let Some((name, rest)) = series.split_once("_bucket{") else { continue };
        let (before, le) = rest.split_once("le=\"").ok_or("a bucket without le")?;
        let le = le.trim_end_matches("\"}");
        let bound = if le == "+Inf" {
            f64::INFINITY
        } else {
            le.parse().map_err(|error| format!("le {le}: {error}"))?
        };
        let labels = before.trim_end_matches(',');
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        buckets.entry(format!("{name}_count{labels}")).or_default().push((bound, *count));
    }
    for (count, mut buckets) in buckets {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let grows = buckets.windows(2).all(|two| two[0].1 <= two[1].1 && two[0].0 < two[1].0);
        let last = buckets.last().filter(|(bound, _)| bound.is_infinite()).map(|(_, count)| *count);
        if !grows || last.is_none() || last != metrics.series.get(&count).copied() {
            return Err(format!("the buckets of {count}: {buckets:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: &str = "# HELP a A.\n# TYPE a counter\na_total{b=\"x\"} 1\n# HELP h H.\n# TYPE h histogram\n\
                        h_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n# EOF\n";

    #[test]
    fn what_is_well_formed_is_read() {
        let metrics = Metrics::read(WELL, Form::OpenMetrics);
        assert_eq!(metrics.families.iter().map(String::as_str).collect::<Vec<_>>(), ["a_total", "h"]);
        assert_eq!((metrics.get("a_total{b=\"x\"}"), metrics.get("h_count")), (Some(1.0), Some(2.0)));
    }

    #[test]
    fn each_broken_rule_is_found() {
        let broken = [
            WELL.replace("# EOF\n", ""),
            format!("{WELL}# HELP z Z.\n"),
            WELL.replace("a_total{b=\"x\"} 1\n", "a_total{b=\"x\"} 1\na_total{b=\"x\"} 2\n"),
            WELL.replace("a_total{", "a{"),
            WELL.replace("b=\"x\"", "b=\"x\",b=\"y\""),
            WELL.replace("b=\"x\"", "b=\"x\\q\""),
            WELL.replace("} 1\n# HELP h", "} -1\n# HELP h"),
            WELL.replace("# TYPE a counter\n", ""),
            WELL.replace("# TYPE h histogram", "# TYPE h info"),
            WELL.replace("h_count 2", "h_count 3"),
            WELL.replace("h_bucket{le=\"1.0\"} 1", "h_bucket{le=\"1.0\"} 3"),
            WELL.replace("# HELP h H.", "# HELP a H."),
            WELL.replace("h_sum 3", "h_sum NaN"),
        ];
        for text in broken {
            assert!(read(&text, Form::OpenMetrics).is_err(), "{text}");
        }
        assert!(read(WELL, Form::Prometheus).is_err());
    }
}
