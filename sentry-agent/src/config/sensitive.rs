//! Classes of sensitive files that the configuration adds.

use std::{path::Path, sync::Arc};

use sentry_detect::{
    runaway::Severity,
    sensitive::{self, OwnClass, SensitiveFiles},
};
use serde_saphyr::Spanned;

use super::{ConfigError, error::invalid, file::SensitiveFile};

/// The built-in classes and these, or all that is wrong with them: a broken pattern by its own
/// place, anything else by that of the name.
pub(super) fn files(
    path: &Path,
    classes: Vec<SensitiveFile>,
) -> Result<Arc<SensitiveFiles>, Vec<ConfigError>> {
    let (mut own, mut errors) = (Vec::new(), Vec::new());
    for SensitiveFile { name, title, severity, paths, except } in classes {
        let before = errors.len();
        errors.extend(paths.iter().chain(&except).filter_map(|pattern| {
            let wrong = sensitive::check(&pattern.value).err()?;
            Some(invalid(path, pattern.referenced, sentry_service::error_chain(&wrong)))
        }));
        let texts =
            |patterns: Vec<Spanned<String>>| patterns.into_iter().map(|pattern| pattern.value).collect();
        let at = name.referenced;
        own.push(OwnClass {
            title: title.unwrap_or_else(|| name.value.clone()),
            name: name.value,
            severity: severity.unwrap_or(Severity::Medium),
            paths: texts(paths),
            except: texts(except),
        });
        if errors.len() > before {
            own.pop();
        } else if let Err((_, wrong)) = SensitiveFiles::with(own.clone()) {
            errors.push(invalid(path, at, sentry_service::error_chain(&wrong)));
            own.pop();
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    // Each of them was taken already.
    Ok(SensitiveFiles::with(own).unwrap_or_else(|_taken| SensitiveFiles::built_in()))
}
