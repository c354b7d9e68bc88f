//! Files whose content opens doors, by class (`sensitive.toml`).

use std::sync::LazyLock;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;

/// How many classes there are.
pub const CLASSES: usize = 12;

/// Classes of sensitive files.
#[derive(Clone, Debug, Default)]
pub struct SensitiveFiles {
    /// The paths of every class: most files are in none.
    any: GlobSet,
    classes: Vec<Class>,
}

/// One class.
#[derive(Clone, Debug)]
pub struct Class {
    /// `cloud`.
    pub name: String,
    /// `cloud credentials`.
    pub title: String,
    paths: GlobSet,
    except: GlobSet,
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
}

/// Why a list of classes cannot be used.
#[derive(Debug, thiserror::Error)]
enum SensitiveError {
    #[error("read the classes of sensitive files")]
    Toml(#[from] toml::de::Error),
    #[error("read the classes of sensitive files: a pattern is broken")]
    Glob(#[from] globset::Error),
}

impl SensitiveFiles {
    /// The classes that come with the program. A test excludes that they are broken.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<SensitiveFiles> =
            LazyLock::new(|| SensitiveFiles::parse(include_str!("../sensitive.toml")).unwrap_or_default());
        &SHARED
    }

    /// Number of the class of a path; the first that holds.
    #[must_use]
    pub fn number_of(&self, path: &str) -> Option<usize> {
        if !self.any.is_match(path) {
            return None;
        }
        self.classes.iter().position(|class| class.paths.is_match(path) && !class.except.is_match(path))
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
                name: class.name,
                title: class.title,
            })
        };
        let classes = data.class.into_iter().map(class).collect::<Result<_, SensitiveError>>()?;
        Ok(Self { any: globs(&all)?, classes })
    }
}

/// `*` stays within a component, `~` is any folder, and a name without a folder is one in any.
fn globs(texts: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for text in texts {
        let glob = match text.strip_prefix("~/") {
            Some(rest) => format!("**/{rest}"),
            None if text.contains('/') => text.clone(),
            None => format!("**/{text}"),
        };
        set.add(GlobBuilder::new(&glob).literal_separator(true).empty_alternates(true).build()?);
    }
    set.build()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole() {
        let files = SensitiveFiles::parse(include_str!("../sensitive.toml")).unwrap();
        assert_eq!(files.classes.len(), CLASSES);
    }

    #[test]
    fn secrets_have_their_class_and_what_is_like_them_has_none() {
        let files = SensitiveFiles::shared();
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
}
