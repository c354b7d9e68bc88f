//! `agents[].match`, as typed and as checked.

use std::{collections::BTreeMap, fmt, fs, io, path::PathBuf};

use nix::unistd::{Uid, User as Account};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::scalar::AbsolutePath;
use crate::select::{
    Selector,
    container::{ContainerMatch, Labels, PodMatch},
    file_id,
    pattern::{Pattern, PatternError},
    selector::{Executable, Object, User},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchFile {
    unit: Option<PatternText>,
    slice: Option<PatternText>,
    cgroup: Option<PatternText>,
    user: Option<String>,
    executable: Option<ExecutableFile>,
    container: Option<ContainerFile>,
    pod: Option<PodFile>,
}

/// A path, or several conditions.
#[derive(Debug, Default)]
struct ExecutableFile {
    path: Option<PatternText>,
    object: Option<PathBuf>,
    digest: Option<[u8; 32]>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExecutableMap {
    path: Option<PatternText>,
    object: Option<AbsolutePath>,
    digest: Option<DigestText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContainerFile {
    name: Option<PatternText>,
    image: Option<PatternText>,
    #[serde(default)]
    label: BTreeMap<String, PatternText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PodFile {
    namespace: Option<PatternText>,
    name: Option<PatternText>,
    service_account: Option<PatternText>,
    #[serde(default)]
    label: BTreeMap<String, PatternText>,
    #[serde(default)]
    annotation: BTreeMap<String, PatternText>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct PatternText(Pattern);

/// `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct DigestText([u8; 32]);

impl TryFrom<String> for PatternText {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Pattern::new(&text).map(Self)
    }
}

impl TryFrom<String> for DigestText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii());
        let bytes = digits.and_then(|hex| {
            let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
            (0..64).step_by(2).map(byte).collect::<Option<Vec<u8>>>()
        });
        let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            format!(
                "{text:?} is not a digest; write sha256: and 64 hexadecimal digits, as sha256sum prints them"
            )
        })
    }
}

impl<'de> Deserialize<'de> for ExecutableFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ExecutableFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or a map with `path`, `object` and `digest`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ExecutableFile, E> {
                let path = PatternText::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(ExecutableFile { path: Some(path), ..ExecutableFile::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ExecutableFile, A::Error> {
                let map = ExecutableMap::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ExecutableFile {
                    path: map.path,
                    object: map.object.map(|object| object.0),
                    digest: map.digest.map(|digest| digest.0),
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The selector, or what is wrong with it.
pub(super) fn selector(file: MatchFile) -> Result<Selector, String> {
    let pattern = |text: Option<PatternText>| text.map(|text| text.0);
    let selector = Selector {
        unit: pattern(file.unit),
        slice: pattern(file.slice),
        cgroup: pattern(file.cgroup),
        user: file.user.as_deref().map(user).transpose()?,
        executable: file.executable.map(executable).transpose()?,
        container: file.container.map(|container| ContainerMatch {
            name: pattern(container.name),
            image: pattern(container.image),
            labels: labels(container.label),
        }),
        pod: file.pod.map(|pod| PodMatch {
            namespace: pattern(pod.namespace),
            name: pattern(pod.name),
            service_account: pattern(pod.service_account),
            labels: labels(pod.label),
            annotations: labels(pod.annotation),
        }),
    };
    if selector == Selector::default() {
        return Err("a match without a condition would be every cgroup; give one, such as `unit`".into());
    }
    let path = selector.executable.as_ref().and_then(|executable| executable.path.as_ref());
    for (key, pattern) in [("cgroup", selector.cgroup.as_ref()), ("executable", path)] {
        if let Some(pattern) = pattern
            && !pattern.text().starts_with(['/', '*', '{'])
        {
            return Err(format!("`{key}: {0}` never holds; write a path from its slash on", pattern.text()));
        }
    }
    Ok(selector)
}

fn labels(texts: BTreeMap<String, PatternText>) -> Labels {
    Labels(texts.into_iter().map(|(key, text)| (key, text.0)).collect())
}

fn user(name: &str) -> Result<User, String> {
    let account = match name.parse::<u32>() {
        Ok(uid) => return Ok(User { name: name.into(), uid }),
        Err(_no_number) => Account::from_name(name),
    };
    match account {
        Ok(Some(Account { uid, .. })) => Ok(User { name: name.into(), uid: Uid::as_raw(uid) }),
        Ok(None) => {
            Err(format!("there is no user `{name}` on this host; write an existing name or a number"))
        }
        Err(errno) => Err(format!("cannot look for the user `{name}`: {errno}")),
    }
}

fn executable(file: ExecutableFile) -> Result<Executable, String> {
    let path = file.path.map(|text| text.0);
    if let Some(path) = &path
        && path.literal_file_name().is_none()
    {
        return Err(format!(
            "the last component of `{}` has a wildcard; write the program's name, since that is what \
             the kernel compares",
            path.text()
        ));
    }
    if path.is_none() && file.object.is_none() {
        return Err(
            "`executable` needs `path` or `object`; a digest alone would have every program read".into()
        );
    }
    Ok(Executable { path, object: file.object.map(object).transpose()?, digest: file.digest })
}

fn object(path: PathBuf) -> Result<Object, String> {
    let wrong = |error: io::Error| format!("cannot look at the file {}: {error}", path.display());
    let file = fs::metadata(&path).map_err(wrong)?;
    if !file.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let id = file_id(&file)
        .ok_or_else(|| wrong(io::Error::other("its file system has no place in the kernel")))?;
    Ok(Object { path, id })
}
