//! Keys of a configuration file, declared once: the field that they are read into, and what the
//! documentation says of them.

/// A key as the documentation has it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    /// Its default, in Markdown.
    pub default: fn() -> String,
    /// What it means, in Markdown.
    pub about: fn() -> String,
}

/// Declares a map of a YAML file. A key is a field with its type, its default in words and its
/// meaning; the type's `Default` holds where the key is missing. Before those may stand: a
/// `checked` key, which has to be there and to be right and is no field to read, and `needed` keys,
/// which have no default. A key without a meaning is a map of keys of its own. Keys that are not
/// declared are refused.
#[macro_export]
macro_rules! keys {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident {
            $([checked $checked:ident: $checked_type:ty])?
            $([needed $needed:ident: $needed_type:ty, $needed_meaning:expr])*
            $($key:ident: $type:ty, $default:expr, $meaning:expr;)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        $vis struct $name {
            $(
                #[expect(dead_code, reason = "parsing it is the check")]
                $checked: $checked_type,
            )?
            $($vis $needed: $needed_type,)*
            $(
                #[serde(default)]
                $vis $key: $type,
            )*
        }

        impl $name {
            #[cfg_attr(
                not(test),
                expect(dead_code, reason = "the documentation is compared with it in a test")
            )]
            $vis const KEYS: &[$crate::keys::Key] = &[
                $($crate::keys::Key {
                    name: stringify!($needed),
                    default: String::new,
                    about: $needed_meaning,
                },)*
                $($crate::keys::Key { name: stringify!($key), default: $default, about: $meaning },)*
            ];
        }
    };
}

/// The rows of a table of the keys that have a meaning, in Markdown; `within` is the section that
/// they are in.
#[must_use]
pub fn table(within: Option<&str>, keys: &[Key]) -> Vec<String> {
    let row = |Key { name, default, about }: &Key| {
        let section = within.map(|section| format!("{section}.")).unwrap_or_default();
        let default = default();
        let space = if default.is_empty() { "" } else { " " };
        format!("| `{section}{name}` |{space}{default} | {} |", about())
    };
    keys.iter().filter(|key| !(key.about)().is_empty()).map(row).collect()
}

/// The rows of the first table behind a heading of a document.
#[must_use]
pub fn table_of<'a>(document: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = document.lines().skip_while(|line| !line.starts_with(heading));
    let table =
        lines.skip_while(|line| !line.starts_with("| key |")).take_while(|line| line.starts_with('|'));
    // Behind the names of the columns and the rule below them.
    table.skip(2).collect()
}
