//! `docs/detection.md`, made of the rules and the corpus.

use std::{collections::BTreeMap, fmt::Write as _};

use sentry_detect::{
    finding::Finding,
    rule::{Limits, RULES},
    runaway::Severity,
};

use crate::{
    load::{Half, Label, Seen},
    score::{Share, by_rule as of_rule, cases, interval, precision, recall},
};

const HEAD: &str = "\
# Detection

<!-- Generated from the rules and the recordings in tests/corpus: run the tests of sentry-recording
with UPDATE_DOCS=1. -->

What the rules find, by which limits, and what they did with a corpus of recorded runs. Each
recording is of a real program under a sensor that observed ([the plan](../tests/corpus/plan.toml)
has the scripts); it is judged here by the rules and the default limits of this version, as if
`--enforce` had been given. `sentry replay tests/corpus/NAME.rec` shows any of them: where the rules
have changed since it was made, it says what is found otherwise now, and ends with 2.

";

/// The rule that is to find each kind of runaway, if one is.
const KINDS: &[(&str, Option<&str>)] = &[
    ("CPU spin", Some("cpu-spin")),
    ("DNS tunnel", Some("dns-tunnel")),
    ("another process", Some("other-process")),
    ("anti-forensics", Some("anti-forensics")),
    ("call flood", Some("call-flood")),
    ("connect storm", Some("connect-storm")),
    ("descriptor leak", Some("descriptor-leak")),
    ("disk growth", None),
    ("exec loop", Some("exec-loop")),
    ("exec loop, changing arguments", Some("exec-loop")),
    ("failing command, alternating", Some("exec-loop")),
    ("failing command, fast", Some("exec-loop")),
    ("failing command, network", Some("exec-loop")),
    ("failing command, slow", Some("exec-loop")),
    ("files emptied", Some("destructive-burst")),
    ("files encrypted", Some("destructive-burst")),
    ("fork bomb", Some("spawn-storm")),
    ("fork chain", None),
    ("idle polling", None),
    ("memory", Some("memory-growth")),
    ("nested agents", Some("nested-agents")),
    ("persistence", Some("persistence-write")),
    ("processes left behind", Some("leftovers")),
    ("recursive delete", Some("destructive-burst")),
    ("scan", Some("scan")),
    ("secret read and sent", Some("secret-then-send")),
    ("secrets swept", Some("secret-read")),
    ("thread storm", Some("thread-storm")),
    ("work handed to others", Some("left-control")),
];

pub(crate) fn of(corpus: &[Seen]) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("## The corpus\n\n");
    page.push_str("Limits were set on one half; only the other says how good they are.\n\n");
    page.push_str(&confusion(corpus));
    page.push_str(&scores(corpus));
    page.push_str(&rules(corpus));
    page.push_str(&benign(corpus));
    page.push_str(&runaways(corpus));
    page.push_str("## Rules\n\n");
    for about in RULES {
        let mut text = format!("### {}\n\n", about.id);
        let sentence = format!("A finding when: {}. Severity: {}.", about.when, about.severity);
        text.push_str(&wrapped(&sentence));
        let keys = Limits::keys_of(&about.id);
        if !keys.is_empty() {
            text.push_str("\n| limit | default | a finding needs |\n|---|---|---|\n");
        }
        for key in keys {
            writeln!(text, "| `{}` | {} |{} |", key.name, key.default, key.meaning).ok();
        }
        text.push_str(&example(corpus, about.id.as_str()));
        page.push_str(&text);
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page + "\n"
}

fn halves(corpus: &[Seen]) -> [(&'static str, Vec<&Seen>); 2] {
    let of = |half| corpus.iter().filter(|seen| seen.row.half == half).collect();
    [("limits", of(Half::Limits)), ("test", of(Half::Test))]
}

/// What was found and what would have been done, by label.
fn confusion(corpus: &[Seen]) -> String {
    let mut text = "\
| half | label | runs | hours | events | findings: low, medium, high, critical | runs with high or above | would be frozen | would be killed |
|---|---|---:|---:|---:|---|---:|---:|---:|\n"
        .to_owned();
    for (half, runs) in halves(corpus) {
        for (label, name) in [(Label::Benign, "benign"), (Label::Runaway, "runaway")] {
            let runs: Vec<&&Seen> = runs.iter().filter(|seen| seen.row.label == label).collect();
            let hours: f64 = runs.iter().map(|seen| seen.seconds).sum::<f64>() / 3600.0;
            let events: u64 = runs.iter().map(|seen| seen.events).sum();
            let found = |severity| {
                let all = runs.iter().flat_map(|seen| &seen.findings);
                all.filter(|finding| finding.severity() == severity).count()
            };
            let [low, medium, high, critical] =
                [Severity::Low, Severity::Medium, Severity::High, Severity::Critical].map(found);
            let severe = runs.iter().filter(|seen| seen.findings.iter().any(is_severe)).count();
            let frozen = runs.iter().filter(|seen| seen.freezes > 0).count();
            let killed = runs.iter().filter(|seen| seen.kills > 0).count();
            let count = runs.len();
            writeln!(
                text,
                "| {half} | {name} | {count} | {hours:.3} | {events} | {low}, {medium}, {high}, {critical} | \
                {severe} | {frozen} | {killed} |"
            )
            .ok();
        }
    }
    text + "\n"
}

fn is_severe(finding: &Finding) -> bool {
    finding.severity() >= Severity::High
}

fn scores(corpus: &[Seen]) -> String {
    let mut text = wrapped(
        "Precision: of the runs that are found, those that ran away. Recall: of the runaways, those that \
        are found, after their onset. In brackets the interval of 95 of 100 resamples of the runs.",
    );
    text.push_str("\n| half | found is a finding of | precision | recall |\n|---|---|---|---|\n");
    for (half, runs) in halves(corpus) {
        for (least, name) in [(Severity::Medium, "medium or above"), (Severity::High, "high or above")] {
            let cases = cases(runs.iter().copied(), least);
            let [precision, recall] = [interval(&cases, precision), interval(&cases, recall)].map(percent);
            writeln!(text, "| {half} | {name} | {precision} | {recall} |").ok();
        }
    }
    text + "\n"
}

/// How well each rule does by itself, on the half that no limit was set on.
fn rules(corpus: &[Seen]) -> String {
    let runs: Vec<&Seen> = corpus.iter().filter(|seen| seen.row.half == Half::Test).collect();
    let rule_of = |seen: &Seen| {
        let known = KINDS.iter().find(|(kind, _)| *kind == seen.row.kind);
        assert!(known.is_some(), "{} is no kind that is known", seen.row.kind);
        known.and_then(|(_, rule)| *rule)
    };
    let mut text = "### By rule\n\n".to_owned();
    let none = KINDS.iter().filter(|(_, rule)| rule.is_none()).map(|(kind, _)| *kind);
    text.push_str(&wrapped(&format!(
        "On the other half: of the runaways that a rule is for, those that it finds; of all runs in which \
        it finds something, those that ran away. No rule is for: {}. Two cannot show here what they do: \
        memory-growth needs growth to half of what the host has, and cpu-spin a processor of its own, \
        which the busy machine that this was recorded on did not give.",
        none.collect::<Vec<_>>().join(", "),
    )));
    text.push_str("\n| rule | its runaways | found by it | recall | benign runs with it | precision |\n|---|---:|---:|---|---:|---|\n");
    for about in RULES {
        let rule = about.id.as_str();
        let is_its = |seen: &&&Seen| seen.row.label == Label::Runaway && rule_of(seen) == Some(rule);
        let its = of_rule(runs.iter().filter(is_its).copied(), rule);
        let all = of_rule(runs.iter().copied(), rule);
        let found = its.iter().filter(|case| case.is_found).count();
        let wrong = all.iter().filter(|case| case.is_found && !case.is_runaway).count();
        let [recall, precision] = [interval(&its, recall), interval(&all, precision)].map(percent);
        writeln!(text, "| {rule} | {} | {found} | {recall} | {wrong} | {precision} |", its.len()).ok();
    }
    text + "\n"
}

fn percent(share: Option<Share>) -> String {
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    match share {
        None => "–".to_owned(),
        Some(Share { share, low, high }) => {
            format!("{} % ({}–{})", percent(share), percent(low), percent(high))
        }
    }
}

/// The benign runs in which something was found.
fn benign(corpus: &[Seen]) -> String {
    let benign: Vec<&Seen> = corpus.iter().filter(|seen| seen.row.label == Label::Benign).collect();
    let hours: f64 = benign.iter().map(|seen| seen.seconds).sum::<f64>() / 3600.0;
    let severe = benign.iter().flat_map(|seen| &seen.findings).filter(|finding| is_severe(finding)).count();
    let mut text = "### Findings in benign runs\n\n".to_owned();
    text.push_str(&wrapped(&format!(
        "{severe} of high severity or above in {hours:.2} hours of {} benign runs: {:.1} per 100 hours.",
        benign.len(),
        severe as f64 * 100.0 / hours.max(f64::MIN_POSITIVE),
    )));
    let found: Vec<&&Seen> = benign.iter().filter(|seen| !seen.findings.is_empty()).collect();
    if !found.is_empty() {
        text.push_str("\n| run | kind | half | findings |\n|---|---|---|---|\n");
    }
    for seen in found {
        let half = if seen.row.half == Half::Limits { "limits" } else { "test" };
        writeln!(text, "| {} | {} | {half} | {} |", seen.name, seen.row.kind, by_rule(seen)).ok();
    }
    text + "\n"
}

fn by_rule(seen: &Seen) -> String {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for finding in &seen.findings {
        *counts.entry((finding.signal.rule.as_str(), severity(finding.severity()))).or_default() += 1;
    }
    let all = counts.into_iter().map(|((rule, severity), count)| match count {
        1 => format!("{rule} ({severity})"),
        count => format!("{count} {rule} ({severity})"),
    });
    all.collect::<Vec<_>>().join(", ")
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "informational",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

fn runaways(corpus: &[Seen]) -> String {
    let mut text = "### Runaways\n\n".to_owned();
    let runaways: Vec<&Seen> = corpus.iter().filter(|seen| seen.row.label == Label::Runaway).collect();
    let mut times: Vec<f64> = runaways.iter().filter_map(|seen| Some(seen.found()?.1)).collect();
    times.sort_by(f64::total_cmp);
    let within = times.iter().filter(|time| **time <= 2.0).count();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    text.push_str(&wrapped(&format!(
        "{} of {} are found, {within} of them within 2 s of their onset; half of them within {median:.1} s.",
        times.len(),
        runaways.len(),
    )));
    text.push_str("\n| run | kind | half | first finding | after its onset, s | all findings |\n|---|---|---|---|---:|---|\n");
    for seen in runaways {
        let half = if seen.row.half == Half::Limits { "limits" } else { "test" };
        let (first, after) = match seen.found() {
            Some((finding, after)) => (finding.signal.rule.to_string(), format!("{after:.1}")),
            None => ("**not found**".to_owned(), "–".to_owned()),
        };
        let (name, kind, all) = (&seen.name, &seen.row.kind, by_rule(seen));
        writeln!(text, "| {name} | {kind} | {half} | {first} | {after} | {all} |").ok();
    }
    text + "\n"
}

/// The first finding of a rule in the corpus, runaways first.
fn example(corpus: &[Seen], rule: &str) -> String {
    let mut runs: Vec<&Seen> = corpus.iter().collect();
    runs.sort_by_key(|seen| seen.row.label == Label::Benign);
    let found = runs.into_iter().find_map(|seen| {
        let finding = seen.findings.iter().find(|finding| finding.signal.rule.as_str() == rule)?;
        Some((seen, finding))
    });
    let Some((seen, finding)) = found else {
        return "\nNo run of the corpus shows it.\n".to_owned();
    };
    let signal = &finding.signal;
    let intro = format!(
        "In `{}` ({}), a finding of severity {} and confidence {:.2}:",
        seen.name,
        seen.row.kind,
        severity(signal.severity),
        signal.confidence,
    );
    let mut text = format!("\n{}\n", wrapped(&intro));
    for line in wrapped(&format!("> {}", signal.summary)).lines() {
        let mark = if line.starts_with('>') { "" } else { "> " };
        text.push_str(&format!("{mark}{line}\n"));
    }
    text.push_str("\n| term | value | limit |\n|---|---:|---:|\n");
    for term in &signal.arithmetic {
        let unit = if term.unit.is_empty() { String::new() } else { format!(" ({})", term.unit) };
        let limit = term.limit.map_or_else(String::new, |limit| format!("{}", round(limit)));
        writeln!(text, "| {}{unit} | {} | {limit} |", term.name, round(term.value)).ok();
    }
    if !finding.tags.is_empty() {
        text.push_str(&format!("\n{}", wrapped(&format!("Tags: {}.", finding.tags.join(", ")))));
    }
    text
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Prose of at most 98 columns.
fn wrapped(text: &str) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > 98 {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out + "\n"
}
