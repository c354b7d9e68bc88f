//! Files whose content opens doors (`data/sensitive.toml`).

use globset::GlobSet;
use serde::Deserialize;

use crate::{error::DataError, places::globs};

/// Classes of sensitive files.
#[derive(Clone, Debug)]
pub struct SensitiveFiles {
    classes: Vec<Class>,
}

/// One class.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub(crate) name: String,
    pub(crate) title: String,
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

const FILE: &str = "sensitive.toml";

impl SensitiveFiles {
    /// The classes that come with the program.
    ///
    /// # Errors
    ///
    /// The data file is broken; a test excludes that.
    pub fn built_in() -> Result<Self, DataError> {
        Self::parse(include_str!("../data/sensitive.toml"))
    }

    fn parse(text: &str) -> Result<Self, DataError> {
        let data: Data = toml::from_str(text).map_err(|source| DataError::Toml { file: FILE, source })?;
        let class = |class: ClassData| {
            // A name without a folder is one in any folder.
            let except: Vec<String> = class
                .except
                .iter()
                .map(|glob| if glob.contains('/') { glob.clone() } else { format!("**/{glob}") })
                .collect();
            Ok(Class {
                paths: globs(FILE, &class.name, &class.paths)?,
                except: globs(FILE, &class.name, &except)?,
                name: class.name,
                title: class.title,
            })
        };
        Ok(Self { classes: data.class.into_iter().map(class).collect::<Result<_, DataError>>()? })
    }

    pub(crate) fn class_of(&self, path: &str) -> Option<&Class> {
        self.classes.iter().find(|class| class.paths.is_match(path) && !class.except.is_match(path))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_their_class_and_what_is_like_them_has_none() {
        let files = SensitiveFiles::built_in().unwrap();
        let class = |path| files.class_of(path).map(|class| class.name.as_str());
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
