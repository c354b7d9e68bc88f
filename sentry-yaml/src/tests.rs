use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct File {
    version: u8,
    #[serde(default)]
    size: Option<u8>,
    #[serde(default)]
    on: bool,
    #[serde(default)]
    part: Part,
    #[serde(default)]
    list: Vec<Item>,
    #[serde(default)]
    names: Vec<u8>,
    #[serde(default)]
    map: BTreeMap<String, u8>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default)]
    left: u8,
    #[serde(default)]
    right: u8,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Item {
    name: String,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Observe,
    Enforce,
}

/// `line:column: what`, each.
fn mistakes(text: &str) -> Vec<String> {
    let Err(mistakes) = read::<File>(text) else { return Vec::new() };
    mistakes.all.iter().map(|Mistake { line, column, what }| format!("{line}:{column}: {what}")).collect()
}

fn rest(text: &str) -> Option<File> {
    read::<File>(text).err().and_then(|mistakes| mistakes.rest)
}

#[test]
fn every_mistake_of_a_file_is_reported_in_its_order() {
    let text = "version: 1
sise: 3
on: maybe
part:
  left: x
  rihgt: 2
list:
  - name: a
    mode: enforc
  - {name: b, colour: red, mode: kill}
  - {mode: observe}
names: [1, two, 3, 999]
map:
  a: 1
  b: -1
";
    assert_eq!(
        mistakes(text),
        [
            "2:1: unknown field `sise`; did you mean `size`?",
            "3:5: invalid boolean (strict mode expects true/false)",
            "5:9: invalid u8",
            "6:3: unknown field `rihgt`; did you mean `right`?",
            "9:11: unknown variant `enforc`; did you mean `enforce`?",
            "10:15: unknown field `colour`, expected one of name, mode",
            "10:34: unknown variant `kill`, expected one of observe, enforce",
            "11:6: missing field `name`",
            "12:12: invalid u8",
            "12:20: invalid u8",
            "15:6: invalid u8",
        ]
    );
}

#[test]
fn what_is_right_is_read() {
    let text =
        "version: 1\nsize: 2\npart: {left: 1, right: x}\nlist:\n  - {name: a}\n  - {name: b, mode: no}\n";
    let expected = File {
        version: 1,
        size: Some(2),
        part: Part { left: 1, right: 0 },
        list: vec![
            Item { name: "a".into(), mode: Mode::Observe },
            Item { name: "b".into(), mode: Mode::Observe },
        ],
        ..File::default()
    };
    assert_eq!(rest(text), Some(expected));
}

#[test]
fn what_is_missing_only_because_it_was_mistyped_is_one_mistake() {
    let text = "versoin: 1\nlist:\n  - {nmae: a}\n  - nmae: b\n    mode: enforce\npart:\n  lfet: 1\n";
    assert_eq!(
        mistakes(text),
        [
            "1:1: unknown field `versoin`; did you mean `version`?",
            "3:6: unknown field `nmae`; did you mean `name`?",
            "4:5: unknown field `nmae`; did you mean `name`?",
            "7:3: unknown field `lfet`; did you mean `left`?",
        ]
    );
}

#[test]
fn a_text_that_is_no_yaml_has_no_other_mistakes_behind_that() {
    let found = mistakes("version: 1\nsise: 3\nlist: [\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("2:1: unknown") && found[1].starts_with("3:"), "{found:?}");
    assert_eq!(mistakes("version: 1\nlist: [\n").len(), 1);
    assert_eq!(mistakes(" \n"), ["1:1: the file is empty; begin with `version: 1`"]);
}

#[test]
fn a_section_with_a_mistake_is_doubtful_and_the_others_are_not() {
    let found = read::<File>("version: 1\npart:\n  left: 1\n  right: x\nsize: 2\n").unwrap_err();
    let doubtful: Vec<u64> = (1..=5).filter(|line| found.is_doubtful(*line)).collect();
    assert_eq!(doubtful, [2, 3, 4]);
}

#[test]
fn a_text_of_which_nothing_is_right_has_no_mistake_beyond() {
    assert_eq!(mistakes("version: x\n"), ["1:10: invalid u8"]);
    assert_eq!(mistakes("version: x\nsise: 1\n").len(), 2);
}

#[test]
fn no_text_is_read_for_ever() {
    let many: String = (0..50).map(|n| format!("unknown{n}: {n}\n")).collect();
    assert_eq!(mistakes(&format!("version: 1\n{many}")).len(), MOST);
}
