//! Tags: an id of a catalogue, by its form.

/// Whether it is one of `attack:T1059.004`, `atlas:AML.T0086`, `owasp-asi:ASI02`.
pub(crate) fn is_tag(tag: &str) -> bool {
    let Some((catalogue, id)) = tag.split_once(':') else { return false };
    match catalogue {
        "attack" => is_technique(id),
        "atlas" => id.strip_prefix("AML.").is_some_and(is_technique),
        "owasp-asi" => id.strip_prefix("ASI").is_some_and(|number| is_number(number, 2)),
        _ => false,
    }
}

fn is_technique(id: &str) -> bool {
    let Some(number) = id.strip_prefix('T') else { return false };
    match number.split_once('.') {
        Some((technique, part)) => is_number(technique, 4) && is_number(part, 3),
        None => is_number(number, 4),
    }
}

fn is_number(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_tag;

    #[test]
    fn a_tag_has_the_form_of_its_catalogue() {
        for tag in
            ["attack:T1059", "attack:T1059.004", "atlas:AML.T0086", "atlas:AML.T0011.001", "owasp-asi:ASI02"]
        {
            assert!(is_tag(tag), "{tag}");
        }
        for tag in [
            "",
            "T1059",
            "attack:1059",
            "attack:T105",
            "attack:T1059.4",
            "atlas:T0086",
            "owasp-asi:ASI2",
            "mitre:T1059",
        ] {
            assert!(!is_tag(tag), "{tag}");
        }
    }
}
