//! Every mistake of a file, with its place and what to do: `golden/mistakes.yaml` and `.txt`.
//! `UPDATE_GOLDEN=1` writes the second one.

use std::{fs, path::Path};

use sentry_rules::{MOST_FILE_BYTES, MOST_RULES, Mistake, RuleSet, Source};

use crate::support::source;

fn lines(mistakes: &[Mistake]) -> String {
    mistakes
        .iter()
        .map(|Mistake { file, line, column, what }| format!("{file}:{line}:{column}: {what}\n"))
        .collect()
}

#[test]
fn golden_mistakes() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let text = fs::read_to_string(golden.join("mistakes.yaml")).unwrap();
    let found = lines(&RuleSet::read(&[source(&text)]).unwrap_err());
    let expected = golden.join("mistakes.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&expected, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(expected).unwrap());
}

#[test]
fn two_files_cannot_have_a_rule_of_one_id() {
    let text = "version: 1\nrules:\n  - {id: own/x, title: T, on: [exec], when: uid == 0}\n";
    let named = |name: &str| Source { name: name.to_owned(), text: text.to_owned() };
    let wrong = RuleSet::read(&[named("a.yaml"), named("b.yaml")]).unwrap_err();
    assert_eq!(
        lines(&wrong),
        "b.yaml:3:10: the id `own/x` is taken by a rule in a.yaml; give one of them another id\n"
    );
}

#[test]
fn what_goes_beyond_the_limits_is_refused() {
    let rule = |n: usize| format!("  - {{id: own/x{n}, title: T, on: [exec], when: uid == 0}}\n");
    let many = |count: usize| format!("version: 1\nrules:\n{}", (0..count).map(rule).collect::<String>());
    assert_eq!(RuleSet::read(&[source(&many(MOST_RULES))]).unwrap().rules().len(), MOST_RULES);
    let wrong = RuleSet::read(&[source(&many(MOST_RULES + 1))]).unwrap_err();
    assert_eq!(wrong[0].what, "more than 256 rules; leave some out");
    let long = format!("version: 1\n#{}", "x".repeat(MOST_FILE_BYTES as usize));
    assert_eq!(RuleSet::read(&[source(&long)]).unwrap_err()[0].what, "the file has more than 1048576 bytes");
    let dear = |n: usize| {
        format!(
            "  - {{id: own/x{n}, title: T, on: [exec], when: \"argv.exists(a, a == 'x') && argv.exists(a, a == 'y')\"}}\n"
        )
    };
    let dear = format!("version: 1\nrules:\n{}", (0..200).map(dear).collect::<String>());
    assert!(
        RuleSet::read(&[source(&dear)]).unwrap_err()[0].what.contains("are allowed; look at fewer lists")
    );
}
