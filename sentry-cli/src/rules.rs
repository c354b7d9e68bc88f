//! `sentry rules`: rules of somebody's own, checked and tested without a sensor.

use std::sync::Arc;

use sentry_agent::config::{ConfigError, rules::read};
use sentry_rules::{
    EXAMPLE, Rule, RuleSet,
    field::Field,
    kind,
    trial::{self, Tried},
};
use serde_json::{Value, json};

use super::{
    args::{RulesArgs, RulesCommand},
    error::{CliError, of_config},
    exit::Exit,
    out,
    render::{GREEN, RED, YELLOW, json as lines, paint, report::many, rules as render, safe},
};

pub(super) fn rules(command: &RulesCommand) -> Result<Exit, CliError> {
    match command {
        RulesCommand::Check(args) => check(args),
        RulesCommand::Test(args) => test(args),
        RulesCommand::Example => out::print(EXAMPLE).map(|()| Exit::Ok),
        RulesCommand::Fields { json } => fields(*json),
    }
}

fn check(args: &RulesArgs) -> Result<Exit, CliError> {
    let set = match read(&args.paths) {
        Ok(set) => set,
        Err(errors) => return refused(&errors, args.json),
    };
    let text = if args.json {
        let rules: Vec<Value> = set.rules().iter().map(rule_json).collect();
        lines::line(&json!({
            "type": "rules", "valid": true, "files": set.files(), "digest": set.digest(), "rules": rules, "errors": [],
        }))
    } else {
        render::valid(&set)
    };
    out::print(&text)?;
    Ok(Exit::Ok)
}

fn rule_json(rule: &Rule) -> Value {
    json!({
        "id": rule.id, "title": rule.title, "file": rule.file, "on": rule.types, "verdict": rule.verdict.name(),
        "severity": rule.severity_name(), "confidence": rule.confidence, "act": rule.act(), "tags": rule.tags,
        "next": rule.next, "cases": rule.case_count(),
    })
}

/// All that is wrong: a line each, or JSON.
fn refused(errors: &[ConfigError], as_json: bool) -> Result<Exit, CliError> {
    if as_json {
        let errors: Vec<Value> = errors.iter().map(|error| error.problem().json()).collect();
        out::print(&lines::line(&json!({"type": "rules", "valid": false, "rules": [], "errors": errors})))?;
    } else {
        for error in errors {
            out::note(&format!("{} {}\n", paint(RED, "sentry:"), safe(&sentry_service::error_chain(error))));
        }
    }
    let exits: Vec<Exit> = errors.iter().map(of_config).collect();
    Ok(exits.iter().find(|exit| **exit == Exit::Config).or(exits.first()).copied().unwrap_or(Exit::Failure))
}

fn test(args: &RulesArgs) -> Result<Exit, CliError> {
    let set = match read(&args.paths) {
        Ok(set) => Arc::new(set),
        Err(errors) => return refused(&errors, args.json),
    };
    let tried = trial::run(&set);
    let failed = tried.iter().filter(|tried| !tried.is_as_expected()).count();
    let text: String = if args.json {
        tried
            .iter()
            .map(tried_json)
            .chain([sum_json(&set, tried.len(), failed)])
            .map(|value| lines::line(&value))
            .collect()
    } else {
        tested(&set, &tried, failed)
    };
    out::print(&text)?;
    Ok(if failed == 0 { Exit::Ok } else { Exit::Bad })
}

fn tried_json(tried: &Tried) -> Value {
    json!({
        "type": "rule_case", "rule": tried.rule, "case": tried.case, "file": tried.file, "line": tried.line,
        "expected": render::verdict(tried.expected), "verdict": render::verdict(tried.verdict),
        "error": tried.has_error, "passed": tried.is_as_expected(),
    })
}

fn sum_json(set: &RuleSet, cases: usize, failed: usize) -> Value {
    json!({"type": "rules_test", "rules": set.rules().len(), "cases": cases, "failed": failed, "untested": untested(set)})
}

/// Rules that have no case.
fn untested(set: &RuleSet) -> Vec<&str> {
    set.rules().iter().filter(|rule| rule.case_count() == 0).map(|rule| rule.id.as_str()).collect()
}

fn tested(set: &RuleSet, tried: &[Tried], failed: usize) -> String {
    let mut text: String = tried.iter().map(render::case).collect();
    for rule in untested(set) {
        text.push_str(&format!("{}  {} has no case\n", paint(YELLOW, "-   "), safe(rule)));
    }
    let sum = format!("{}: {failed} failed", many(tried.len() as u64, "case", "cases"));
    text + &format!("{}\n", paint(if failed == 0 { GREEN } else { RED }, &sum))
}

fn fields(as_json: bool) -> Result<Exit, CliError> {
    let text = if as_json {
        let line = |field: &Field| {
            let types: Vec<&str> = field.verbs().iter().map(|verb| verb.name()).collect();
            let kind = field.kind().word();
            let (field, meaning) = (field.name(), field.meaning().trim());
            lines::line(
                &json!({"type": "rule_field", "field": field, "kind": kind, "types": types, "meaning": meaning}),
            )
        };
        Field::ALL.iter().map(line).collect()
    } else {
        render::fields(&kind::names().collect::<Vec<_>>())
    };
    out::print(&text)?;
    Ok(Exit::Ok)
}
