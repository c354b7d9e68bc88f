//! Files whose content opens doors, by class: those of `sensitive.toml`, and a configuration's own.
//!
//! A class has the number of its place, the built-in ones first. An own class is asked before them,
//! so that a site can say what its files are.

use std::sync::{Arc, LazyLock};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;

use crate::{needles::Needles, runaway::Severity};

/// How many classes come with the program.
const BUILT_IN: usize = 12;
/// Most classes that a configuration adds.
pub const MOST_OWN: usize = 8;
/// Most classes.
pub const CLASSES: usize = BUILT_IN + MOST_OWN;
/// Longest name and title of an own class, longest of its patterns, bytes, and most patterns.
const LONGEST_NAME: usize = 32;
const LONGEST_TITLE: usize = 64;
const LONGEST_PATTERN: usize = 512;
const MOST_PATTERNS: usize = 64;

/// Classes of sensitive files.
#[derive(Clone, Debug, Default)]
pub struct SensitiveFiles {
    /// The paths of all built-in classes, and of all own ones: most files are in none.
    any: Any,
    any_own: Option<Any>,
    classes: Vec<Class>,
    own: Vec<OwnClass>,
}

/// The patterns of several classes.
#[derive(Clone, Debug, Default)]
struct Any {
    /// Asked first: nearly all files end here.
    needles: Needles,
    paths: GlobSet,
}

/// One class.
#[derive(Clone, Debug)]
pub struct Class {
    /// `cloud`.
    pub name: String,
    /// `cloud credentials`.
    pub title: String,
    /// How severe a read is, of an own class.
    pub severity: Option<Severity>,
    paths: GlobSet,
    except: GlobSet,
    owners: GlobSet,
}

/// A class as a configuration adds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnClass {
    pub name: String,
    pub title: String,
    pub severity: Severity,
    pub paths: Vec<String>,
    pub except: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    class: Vec<ClassData>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassData {
    name: String,
    title: String,
    paths: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    /// Programs, or scripts of an interpreter, that the files are made for.
    #[serde(default)]
    owners: Vec<String>,
}

/// Why classes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SensitiveError {
    #[error("read the classes of sensitive files")]
    Toml(#[from] toml::de::Error),
    #[error("the pattern {pattern:?} is broken; `*` and `?` stay within a name, `**` is any folders")]
    Pattern { pattern: String, source: globset::Error },
    #[error("a pattern has 1 to {} bytes", LONGEST_PATTERN)]
    PatternLength,
    #[error("a class has 1 to {} patterns in `paths`, and at most as many in `except`", MOST_PATTERNS)]
    Patterns,
    #[error("{0:?} is not the name of a class; write 1 to {max} of a–z, 0–9 and -", max = LONGEST_NAME)]
    Name(String),
    #[error("the class {0:?} is there already; write another name")]
    Twice(String),
    #[error("a title has 1 to {} bytes, and no control characters", LONGEST_TITLE)]
    Title,
    #[error("more than {} classes; join some", MOST_OWN)]
    TooMany,
}

impl SensitiveFiles {
    /// The classes that come with the program. A test excludes that they are broken.
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        static BUILT_IN: LazyLock<Arc<SensitiveFiles>> = LazyLock::new(|| {
            Arc::new(SensitiveFiles::parse(include_str!("../sensitive.toml")).unwrap_or_default())
        });
        Arc::clone(&BUILT_IN)
    }

    /// These, and those of a configuration.
    ///
    /// # Errors
    /// The first class that cannot be used, by its place, and why.
    pub fn with(own: Vec<OwnClass>) -> Result<Arc<Self>, (usize, SensitiveError)> {
        let mut files = Self::built_in();
        if own.is_empty() {
            return Ok(files);
        }
        let all = Arc::make_mut(&mut files);
        for (place, class) in own.iter().enumerate() {
            let at = |error| (place, error);
            if place >= MOST_OWN {
                return Err(at(SensitiveError::TooMany));
            }
            if all.classes.iter().any(|other| other.name == class.name) {
                return Err(at(SensitiveError::Twice(class.name.clone())));
            }
            all.classes.push(class.compiled().map_err(at)?);
        }
        let paths: Vec<String> = own.iter().flat_map(|class| class.paths.clone()).collect();
        all.any_own = Some(Any::of(&paths).map_err(|error| (0, error))?);
        all.own = own;
        Ok(files)
    }

    /// The classes that a configuration added.
    #[must_use]
    pub fn own(&self) -> &[OwnClass] {
        &self.own
    }

    /// Number of the class of a path; the first that holds.
    #[must_use]
    pub fn number_of(&self, path: &str) -> Option<usize> {
        let holds = |class: &Class| class.paths.is_match(path) && !class.except.is_match(path);
        let (built_in, own) = self.classes.split_at_checked(BUILT_IN)?;
        if self.any_own.as_ref().is_some_and(|any| any.is_match(path))
            && let Some(place) = own.iter().position(holds)
        {
            return Some(BUILT_IN + place);
        }
        self.any.is_match(path).then(|| built_in.iter().position(holds)).flatten()
    }

    #[must_use]
    pub fn class(&self, number: usize) -> Option<&Class> {
        self.classes.get(number)
    }

    fn parse(text: &str) -> Result<Self, SensitiveError> {
        let data: Data = toml::from_str(text)?;
        let all: Vec<String> = data.class.iter().flat_map(|class| class.paths.clone()).collect();
        let class = |class: ClassData| {
            Ok(Class {
                paths: globs(&class.paths)?,
                except: globs(&class.except)?,
                owners: globs(&class.owners)?,
                severity: None,
                name: class.name,
                title: class.title,
            })
        };
        let classes = data.class.into_iter().map(class).collect::<Result<_, SensitiveError>>()?;
        Ok(Self { any: Any::of(&all)?, any_own: None, classes, own: Vec::new() })
    }
}

impl Any {
    fn of(patterns: &[String]) -> Result<Self, SensitiveError> {
        let needles = Needles::of(&patterns.iter().map(|text| pattern(text)).collect::<Vec<_>>());
        Ok(Self { needles, paths: globs(patterns)? })
    }

    fn is_match(&self, path: &str) -> bool {
        self.needles.may_match(path) && self.paths.is_match(path)
    }
}

/// By what a configuration added.
impl PartialEq for SensitiveFiles {
    fn eq(&self, other: &Self) -> bool {
        self.own == other.own
    }
}

impl Class {
    /// Whether its files are made for this program; `script` is the first argument, which counts
    /// where the program is an interpreter.
    #[must_use]
    pub fn is_owner(&self, program: &str, script: Option<&str>) -> bool {
        const INTERPRETERS: [&str; 6] = ["python", "node", "ruby", "perl", "bash", "sh"];
        let name = program.rsplit('/').next().unwrap_or_default();
        // `python3.13`
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        self.owners.is_match(program)
            || (INTERPRETERS.contains(&name) && script.is_some_and(|script| self.owners.is_match(script)))
    }
}

impl OwnClass {
    fn compiled(&self) -> Result<Class, SensitiveError> {
        let Self { name, title, severity, paths, except } = self;
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(is_plain) {
            return Err(SensitiveError::Name(name.clone()));
        }
        if !(1..=LONGEST_TITLE).contains(&title.len()) || title.contains(char::is_control) {
            return Err(SensitiveError::Title);
        }
        if !(1..=MOST_PATTERNS).contains(&paths.len()) || except.len() > MOST_PATTERNS {
            return Err(SensitiveError::Patterns);
        }
        Ok(Class {
            name: name.clone(),
            title: title.clone(),
            severity: Some(*severity),
            paths: globs(paths)?,
            except: globs(except)?,
            owners: GlobSet::empty(),
        })
    }
}

/// Checks one pattern.
///
/// # Errors
/// Why it cannot be used.
pub fn check(pattern: &str) -> Result<(), SensitiveError> {
    globs(std::slice::from_ref(&pattern.to_owned())).map(|_good| ())
}

/// `*` stays within a component.
pub(crate) fn glob(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).empty_alternates(true).build()
}

/// `~` is any folder, and a name without a folder is one in any.
fn pattern(text: &str) -> String {
    match text.strip_prefix("~/") {
        Some(rest) => format!("**/{rest}"),
        None if text.contains('/') => text.to_owned(),
        None => format!("**/{text}"),
    }
}

fn globs(texts: &[String]) -> Result<GlobSet, SensitiveError> {
    let broken = |source, text: &str| SensitiveError::Pattern { pattern: text.to_owned(), source };
    let mut set = GlobSetBuilder::new();
    for text in texts {
        if !(1..=LONGEST_PATTERN).contains(&text.len()) {
            return Err(SensitiveError::PatternLength);
        }
        set.add(glob(&pattern(text)).map_err(|source| broken(source, text))?);
    }
    set.build().map_err(|source| broken(source, ""))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    #[test]
    fn the_list_is_whole() {
        let files = SensitiveFiles::parse(include_str!("../sensitive.toml")).unwrap();
        assert_eq!(files.classes.len(), BUILT_IN);
        assert!(!files.any.needles.may_match("/etc/passwd"), "each pattern has a text to look for first");
    }

    #[test]
    fn secrets_have_their_class_and_what_is_like_them_has_none() {
        let files = SensitiveFiles::built_in();
        let class = |path| {
            files.number_of(path).and_then(|number| files.class(number)).map(|class| class.name.as_str())
        };
        for (path, expected) in [
            ("/home/u/.ssh/id_ed25519", Some("ssh")),
            ("/root/.ssh/id_rsa.pub", None),
            ("/root/.ssh/known_hosts", None),
            ("/tmp/agents/home/.aws/credentials", Some("cloud")),
            ("/home/u/.aws/config", None),
            ("/home/u/project/.env", Some("env")),
            ("/home/u/project/.env.production", Some("env")),
            ("/home/u/project/.env.example", None),
            ("/home/u/.claude/.credentials.json", Some("llm")),
            ("/home/u/.netrc", Some("token")),
            ("/home/u/.docker/config.json", Some("token")),
            ("/home/u/.kube/config", Some("kubernetes")),
            ("/run/secrets/kubernetes.io/serviceaccount/token", Some("kubernetes")),
            ("/etc/shadow", Some("accounts")),
            ("/etc/passwd", None),
            ("/home/u/.bash_history", Some("history")),
            ("/home/u/.config/chromium/Default/Cookies", Some("browser")),
            ("/home/u/.mozilla/firefox/x.default/key4.db", Some("browser")),
            ("/home/u/.gnupg/private-keys-v1.d/A.key", Some("gpg")),
            ("/proc/1/environ", Some("process")),
            ("/proc/self/environ", None),
            ("/home/u/.gitconfig", None),
        ] {
            assert_eq!(class(path), expected, "{path}");
        }
    }

    fn own(name: &str, paths: &[&str]) -> OwnClass {
        OwnClass {
            name: name.into(),
            title: "customer data".into(),
            severity: Severity::High,
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
            except: vec!["*.md".into()],
        }
    }

    #[test]
    fn an_own_class_is_asked_first_and_the_built_in_ones_keep_their_numbers() {
        let files = SensitiveFiles::with(vec![own("customers", &["/srv/data/**", "~/.netrc"])]).unwrap();
        let built_in = SensitiveFiles::built_in();
        assert_eq!(files.number_of("/srv/data/2026/a.csv"), Some(BUILT_IN));
        assert_eq!(files.number_of("/srv/data/README.md"), None);
        assert_eq!(files.number_of("/home/u/.netrc"), Some(BUILT_IN));
        assert_eq!(files.number_of("/etc/shadow"), built_in.number_of("/etc/shadow"));
        assert_eq!(files.class(BUILT_IN).unwrap().severity, Some(Severity::High));
        assert_ne!(files, built_in);
    }

    #[test]
    fn a_class_that_cannot_be_used_is_named_with_the_reason() {
        let wrong = |classes| SensitiveFiles::with(classes).map_err(|(at, error)| (at, error.to_string()));
        let good = own("a", &["/a"]);
        for (class, expected) in [
            (own("A b", &["/a"]), "is not the name of a class"),
            (own("cloud", &["/a"]), "is there already"),
            (own("a", &["/a"]), "is there already"),
            (own("b", &[]), "1 to 64 patterns"),
            (own("b", &[""]), "1 to 512 bytes"),
            (own("b", &["/a/[b"]), "\"/a/[b\" is broken"),
            (OwnClass { title: "a\nb".into(), ..own("b", &["/a"]) }, "no control characters"),
        ] {
            let (at, error) = wrong(vec![good.clone(), class]).unwrap_err();
            assert!(at == 1 && error.contains(expected), "{at}: {error}");
        }
        let many = (0..=MOST_OWN).map(|n| own(&format!("c{n}"), &["/a"])).collect();
        assert!(matches!(SensitiveFiles::with(many), Err((MOST_OWN, SensitiveError::TooMany))));
    }

    proptest! {
        #[test]
        fn the_first_look_lets_each_match_through(
            parts in proptest::collection::vec(0_usize..1_000, 0..6),
            starts in proptest::bool::ANY,
        ) {
            let files = SensitiveFiles::built_in();
            let all = include_str!("../sensitive.toml");
            let words: Vec<&str> = all.split(['/', '"', '*', '{', '}', ',', ' ', '\n']).collect();
            let names: Vec<&str> = parts.iter().map(|part| words[part % words.len()]).collect();
            let path = format!("{}{}", if starts { "/" } else { "" }, names.join("/"));
            prop_assert!(!files.any.paths.is_match(&path) || files.any.needles.may_match(&path), "{path}");
        }
    }

    #[test]
    fn a_program_owns_the_files_that_are_made_for_it() {
        let files = SensitiveFiles::built_in();
        let class = |path| files.class(files.number_of(path).unwrap()).unwrap();
        let cloud = class("/root/.aws/credentials");
        assert!(cloud.is_owner("/usr/local/aws-cli/v2/current/dist/aws", None));
        assert!(cloud.is_owner("/usr/bin/python3.13", Some("/usr/bin/aws")));
        assert!(!cloud.is_owner("/usr/bin/cat", Some("/usr/bin/aws")));
        assert!(!cloud.is_owner("/usr/bin/python3.13", Some("exfiltrate.py")));
        let model = class("/root/.claude/.credentials.json");
        assert!(model.is_owner("/root/.local/share/claude/versions/2.1.197", None));
        assert!(!class("/srv/p/.env").is_owner("/usr/bin/node", Some("server.js")));
    }
}
