//! Rules of somebody's own, as text.

use sentry_rules::{RuleSet, Verdict, field::Field, trial::Tried};

use super::{BOLD, DIM, GREEN, RED, paint, report::many, safe};

/// Columns that a list of names is wrapped at.
const WIDTH: usize = 96;

/// Rules that are valid.
pub(crate) fn valid(set: &RuleSet) -> String {
    let mut out = String::new();
    for rule in set.rules() {
        let acts = match rule.act() {
            "none" => String::new(),
            act => format!(", {act} where the run is enforced"),
        };
        out.push_str(&format!(
            "{}  {} on {}; {}{acts}; {}\n    {}\n",
            paint(BOLD, &safe(rule.id.as_str())),
            rule.verdict.name(),
            safe(&rule.types.join(", ")),
            rule.severity_name(),
            many(rule.case_count() as u64, "case", "cases"),
            paint(DIM, &safe(&rule.title)),
        ));
    }
    let sum = format!(
        "{} in {} valid",
        many(set.rules().len() as u64, "rule", "rules"),
        match set.files() {
            1 => "1 file, all".to_owned(),
            files => format!("{files} files, all"),
        },
    );
    out + &format!("{}\n", paint(GREEN, &sum))
}

/// How a case ended.
pub(crate) fn case(tried: &Tried) -> String {
    let (rule, case) = (safe(&tried.rule), safe(&tried.case));
    if tried.is_as_expected() {
        return format!("{}  {rule}: {case}\n", paint(GREEN, "ok  "));
    }
    let why = if tried.has_error {
        "its condition has no answer for this event".to_owned()
    } else {
        format!("the verdict is {}, and {} was expected", verdict(tried.verdict), verdict(tried.expected))
    };
    let place = format!("{}:{}", safe(&tried.file), tried.line);
    format!("{}  {rule}: {case}\n      {place}: {why}\n", paint(RED, "FAIL"))
}

/// `none` where the rule does not match.
pub(crate) fn verdict(verdict: Option<Verdict>) -> &'static str {
    verdict.map_or("none", Verdict::name)
}

/// The types of events, and the fields.
pub(crate) fn fields(types: &[&str]) -> String {
    let mut out = format!("{}\n{}\n{}\n", paint(BOLD, "Types"), wrapped(types), paint(BOLD, "Fields"));
    for field in Field::ALL {
        let kind = field.kind().word();
        out.push_str(&format!("  {:<14} {kind:<7} {}\n", field.name(), field.meaning().trim()));
        if !field.verbs().is_empty() {
            let verbs: Vec<&str> = field.verbs().iter().map(|verb| verb.name()).collect();
            out.push_str(&format!("{:25}{}\n", "", paint(DIM, &format!("of {}", verbs.join(", ")))));
        }
    }
    out
}

fn wrapped(names: &[&str]) -> String {
    let (mut out, mut line) = (String::new(), String::from(" "));
    for name in names {
        if line.len() + name.len() + 1 > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(name);
    }
    format!("{out}{line}\n")
}
