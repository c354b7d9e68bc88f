//! What somebody meant who has mistyped a word.

/// The known word that is nearest to this one, if one in three letters or fewer differ.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |known: &&str| strsim::damerau_levenshtein(word, known);
    let near = known.into_iter().filter(|known| {
        let longest = word.chars().count().max(known.chars().count());
        distance(known) <= (longest / 3).max(1)
    });
    near.min_by_key(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_word_is_recognized_and_another_one_is_not() {
        let known = ["journal", "rings", "sensor", "cpu_min_cores"];
        for (word, meant) in [
            ("sensr", Some("sensor")),
            ("rungs", Some("rings")),
            ("jounral", Some("journal")),
            ("cpu_cores", Some("cpu_min_cores")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
