//! Whether an event is one that must be seen.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Stage, file::See, member::pointer};

/// Values that events of one scenario have in common, by name.
pub(super) type Variables = BTreeMap<String, Value>;

/// Events that match. A variable (`"$name"`) takes the value of the first match and holds it for
/// all that follow.
pub(super) fn matches<'a>(
    see: &See,
    events: &'a [Value],
    stage: &Stage,
    variables: &mut Variables,
) -> Vec<&'a Value> {
    let mut found = Vec::new();
    for event in events.iter().filter(|event| event["unmapped"]["act"] == see.act.as_str()) {
        let mut bound = variables.clone();
        let is_match = see.members.iter().all(|(member, wanted)| {
            let is = pointer(member).and_then(|pointer| event.pointer(pointer)).unwrap_or(&Value::Null);
            holds(wanted, is, stage, &mut bound)
        });
        if is_match {
            *variables = bound;
            found.push(event);
        }
    }
    found
}

fn holds(wanted: &toml::Value, is: &Value, stage: &Stage, variables: &mut Variables) -> bool {
    match wanted {
        toml::Value::Integer(number) => is.as_i64() == Some(*number),
        toml::Value::Boolean(flag) => is.as_bool() == Some(*flag),
        toml::Value::Array(values) => {
            let Some(list) = is.as_array() else { return false };
            list.len() == values.len()
                && values.iter().zip(list).all(|(wanted, is)| holds(wanted, is, stage, variables))
        }
        toml::Value::String(text) => match text.strip_prefix('$') {
            Some(_) if is.is_null() => false,
            Some(name) => variables.entry(name.to_owned()).or_insert_with(|| is.clone()) == is,
            None => {
                let is = match is {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    _ => return text == "none" && is.is_null(),
                };
                fits(&stage.fill(text), &is)
            }
        },
        _ => false,
    }
}

/// Equal, where `*` stands for any text.
fn fits(wanted: &str, is: &str) -> bool {
    let mut parts = wanted.split('*');
    let Some(mut rest) = parts.next().and_then(|first| is.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            let Some(place) = rest.find(middle) else { return false };
            rest = &rest[place + middle.len()..];
        }
    }
    last.map_or(rest.is_empty(), |end| rest.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_text() {
        for (wanted, is) in [("a", "a"), ("a*", "a"), ("a*c", "abc"), ("*b*", "abc"), ("a*b*c", "axbxc")] {
            assert!(fits(wanted, is), "{wanted} {is}");
        }
        for (wanted, is) in [("a", "ab"), ("a*c", "ab"), ("*x*", "abc"), ("ab*b", "ab"), ("", "a")] {
            assert!(!fits(wanted, is), "{wanted} {is}");
        }
    }
}
