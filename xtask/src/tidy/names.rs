//! Rust source → the modules that it names: declarations, imports and paths. No parser of the whole
//! language: what looks like a path in code is one, also inside of a macro.

use super::source::{Part, parts};

/// What a file says of modules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// `mod x;`, in their order.
    pub(super) modules: Vec<String>,
    pub(super) imports: Vec<Import>,
    /// Paths of at least two parts, outside of imports.
    pub(super) paths: Vec<Vec<String>>,
}

/// One name that `use` brings in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// Seen by other modules, too.
    pub(super) public: bool,
    pub(super) path: Vec<String>,
    /// What it is called here; `*` for everything.
    pub(super) name: String,
}

pub(super) fn named(source: &str) -> Named {
    let tokens = tokens(source);
    let mut named = Named::default();
    let mut at = 0;
    let mut public = false;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "pub" => {
                public = true;
                at += 1;
                if tokens.get(at).is_some_and(|token| token == "(") {
                    at += tokens[at..].iter().take_while(|token| *token != ")").count() + 1;
                }
                continue;
            }
            "mod" if tokens.get(at + 2).is_some_and(|token| token == ";") => {
                named.modules.push(tokens[at + 1].clone());
                at += 3;
            }
            "use" => {
                at += 1;
                tree(&tokens, &mut at, &[], public, &mut named.imports);
            }
            word if is_name(word) => {
                let mut path = vec![word.to_owned()];
                at += 1;
                while tokens.get(at).is_some_and(|token| token == "::")
                    && tokens.get(at + 1).is_some_and(|token| is_name(token))
                {
                    path.push(tokens[at + 1].clone());
                    at += 2;
                }
                if path.len() > 1 {
                    named.paths.push(path);
                }
            }
            _ => at += 1,
        }
        public = false;
    }
    named
}

/// One branch of the tree of a `use`; afterwards `at` is behind it.
fn tree(tokens: &[String], at: &mut usize, before: &[String], public: bool, imports: &mut Vec<Import>) {
    let mut path = before.to_vec();
    loop {
        match tokens.get(*at).map(String::as_str) {
            Some("::") => *at += 1,
            Some("{") => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token != "}") {
                    let start = *at;
                    tree(tokens, at, &path, public, imports);
                    // A comma, or what no `use` has: on in any case.
                    *at += usize::from(tokens.get(*at).is_some_and(|token| token == ",") || *at == start);
                }
                *at += 1;
                return;
            }
            Some("*") => {
                *at += 1;
                imports.push(Import { public, path, name: "*".to_owned() });
                return;
            }
            Some("as") => {
                let name = tokens.get(*at + 1).cloned().unwrap_or_default();
                *at += 2;
                imports.push(Import { public, path, name });
                return;
            }
            Some(word) if is_name(word) => {
                // `x::{self}` brings in x.
                if word != "self" || path.is_empty() {
                    path.push(word.to_owned());
                }
                *at += 1;
                let goes_on = tokens.get(*at).is_some_and(|token| token == "::" || token == "as");
                if !goes_on {
                    let name = path.last().cloned().unwrap_or_default();
                    imports.push(Import { public, path, name });
                    return;
                }
            }
            _ => return,
        }
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names, `::`, and every other sign alone; without comments, texts and single characters.
fn tokens(source: &str) -> Vec<String> {
    let token = |(_line, part): (usize, Part<'_>)| match part {
        Part::Word(token) | Part::Sign(token) => Some(token.to_owned()),
        Part::Comment(_) | Part::Text(_) | Part::Other => None,
    };
    parts(source).into_iter().filter_map(token).collect()
}

#[cfg(test)]
mod tests {
    use super::{Import, Named, named};

    fn path(text: &str) -> Vec<String> {
        text.split("::").map(str::to_owned).collect()
    }

    fn import(public: bool, text: &str, name: &str) -> Import {
        Import { public, path: path(text), name: name.to_owned() }
    }

    #[test]
    fn finds_modules_imports_and_paths_and_nothing_in_texts() {
        let source = r##"
            //! use crate::not_here;
            pub mod a;
            pub(crate) mod b;
            mod inline { }
            use crate::{a::{self, X as Y}, b::*};
            pub use a::Z;
            const T: &str = "crate::not::here \" crate::nor"; // crate::nor::here
            const R: &str = r#"crate::not::"here"#;
            const C: char = '"'; const D: char = '\''; fn f<'a>() { super::g(crate::c::h()) }
        "##;
        let imports = vec![
            import(false, "crate::a", "a"),
            import(false, "crate::a::X", "Y"),
            import(false, "crate::b", "*"),
            import(true, "a::Z", "Z"),
        ];
        let expected = Named {
            modules: vec!["a".to_owned(), "b".to_owned()],
            imports,
            paths: vec![path("super::g"), path("crate::c::h")],
        };
        assert_eq!(named(source), expected);
    }
}
