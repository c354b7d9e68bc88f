//! What the programs need to know about this kernel's types: offsets in the order they expect
//! ([`sentry_common::offset::FIELDS`]), and the hooks whose arguments differ from what they read.

use std::{collections::HashMap, path::Path};

use btfparse::{Offset, Readable, TypeInformation, TypeVariant};
use sentry_common::offset;

use super::{
    LoadError,
    hooks::Hook,
    offset_cache::{self, Kept},
    prototypes,
    typed::{self, TypeIds},
};

/// Offsets for the programs, and the fields that this kernel lacks ("struct.field"). A missing
/// field is named, never guessed: a program that reads it would be refused by the verifier or read
/// nothing.
#[derive(Clone, Debug)]
pub struct Offsets {
    pub values: [u32; offset::COUNT],
    /// Type numbers for reading by loads; `None` where this kernel does not allow that.
    pub ids: Option<TypeIds>,
    pub missing: Vec<String>,
    /// Names of hooks whose arguments differ from what the programs read, and how.
    pub misfits: Vec<(String, String)>,
}

impl Offsets {
    /// Checks that this kernel calls the hook with the arguments that its program reads.
    ///
    /// # Errors
    /// When it does not: records of this hook would be wrong.
    pub(super) fn check(&self, hook: &Hook) -> Result<(), LoadError> {
        let name = hook.name();
        match self.misfits.iter().find(|(misfit, _)| *misfit == name) {
            None => Ok(()),
            Some((_, difference)) => Err(LoadError::Prototype {
                program: hook.program,
                hook: name,
                difference: difference.clone(),
            }),
        }
    }
}

/// The offsets of this kernel, kept from an earlier start in this boot or resolved now.
///
/// # Errors
/// When the file is missing or not BTF.
pub fn of_this_kernel(btf: &Path) -> Result<Offsets, LoadError> {
    let keep = Path::new(offset_cache::PATH);
    let is_running_kernel = btf == Path::new("/sys/kernel/btf/vmlinux");
    let kept = if is_running_kernel { offset_cache::read(keep) } else { None };
    let mut offsets = match kept {
        Some(Kept { values, ids, misfits }) => Offsets { values, ids, missing: Vec::new(), misfits },
        None => {
            let found = resolve(btf)?;
            if is_running_kernel && found.missing.is_empty() {
                let (values, ids, misfits) = (found.values, found.ids.clone(), found.misfits.clone());
                offset_cache::write(keep, &Kept { values, ids, misfits });
            }
            found
        }
    };
    // Not cached: a setting that can differ at the next start.
    if !typed::programs_are_compiled() {
        offsets.ids = None;
    }
    Ok(offsets)
}

/// Resolves all offsets and looks at all prototypes. About 0.1 s on a 6.18 host.
///
/// # Errors
/// When the file is missing or not BTF.
fn resolve(btf: &Path) -> Result<Offsets, LoadError> {
    if !btf.exists() {
        return Err(LoadError::NoBtf { path: btf.to_owned() });
    }
    let bad = |reason: String| LoadError::BadBtf { path: btf.to_owned(), reason };
    let bytes = Bytes(std::fs::read(btf).map_err(|error| bad(error.to_string()))?);
    let types = TypeInformation::new(&bytes).map_err(|error| bad(error.message().to_owned()))?;
    // By the name of a struct. BTF's own look-up by name would not do: a function or typedef may
    // have the same name.
    let wanted: std::collections::HashSet<&str> = offset::FIELDS.iter().map(|(name, ..)| *name).collect();
    let mut ids = HashMap::new();
    let mut function = None;
    for (id, variant) in types.get() {
        match variant {
            TypeVariant::Struct(definition) => {
                if let Some(name) = definition.name()
                    && wanted.contains(name.as_str())
                    && *definition.size() > 0
                {
                    ids.entry(name.as_str()).or_insert(*id);
                }
            }
            TypeVariant::Func(named) if named.name().as_deref() == Some(typed::FUNCTION) => {
                function = Some(*id);
            }
            _ => {}
        }
    }
    let misfits = prototypes::misfits(&types);
    let mut of_fields = [offset::UNTYPED; offset::COUNT];
    let mut offsets =
        Offsets { values: [offset::ABSENT; offset::COUNT], ids: None, missing: Vec::new(), misfits };
    for (index, (name, fields)) in offset::FIELDS.iter().enumerate() {
        let path = fields.join(".");
        let earlier = offset::EARLIER_NAMES.iter().find(|(of, _)| *of == index).map(|(_, name)| *name);
        let id = ids.get(*name).copied();
        let find = |path: &str| types.offset_of(id?, path).ok();
        let found = find(&path).or_else(|| find(earlier?));
        match id.zip(found) {
            Some((id, (_, Offset::ByteOffset(bytes)))) => {
                offsets.values[index] = bytes;
                of_fields[index] = id;
            }
            _ if offset::OF_OPTIONAL_FEATURES.contains(name) => {}
            _ => offsets.missing.push(format!("{name}.{path}")),
        }
    }
    offsets.ids = function.map(|function| TypeIds { function, of_fields });
    Ok(offsets)
}

/// Reads the whole file first: the parser reads a few bytes at a time.
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Readable for Bytes {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> btfparse::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let source = start.checked_add(buffer.len()).and_then(|end| self.0.get(start..end));
        let source =
            source.ok_or_else(|| btfparse::Error::new(btfparse::ErrorKind::EOF, "read past the end"))?;
        buffer.copy_from_slice(source);
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_has_every_field() {
        let path = Path::new("/sys/kernel/btf/vmlinux");
        assert!(path.exists(), "this test needs a kernel with BTF");
        let offsets = resolve(path).unwrap();
        assert_eq!(offsets.missing, Vec::<String>::new());
        // The first field of `struct cgroup` is its css; the walk to the parent relies on it.
        for (value, (name, _)) in offsets.values.iter().zip(offset::FIELDS) {
            let may_lack = *value == offset::ABSENT && offset::OF_OPTIONAL_FEATURES.contains(&name);
            assert!(may_lack || *value < 1 << 16, "{name}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = resolve(Path::new("/nonexistent/vmlinux")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/vmlinux"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_btf_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"not BTF at all").unwrap();
        assert!(matches!(resolve(file.path()), Err(LoadError::BadBtf { .. })));
    }
}
