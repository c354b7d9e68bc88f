//! Text of events: paths and command lines.

use sentry_proto::v1;
use sentry_view::path::base_name;

/// `~` of a data file's glob: any folder.
pub(crate) fn anywhere(glob: &str) -> String {
    glob.strip_prefix("~/").map_or_else(|| glob.to_owned(), |rest| format!("**/{rest}"))
}

/// The glob that a person's pattern of paths is: `*` stays within a component, `~` is any folder, a
/// pattern without a slash is a name in any folder, and a folder stands for all that is in it.
pub(crate) fn pattern(text: &str) -> String {
    let glob = if text.contains('/') { anywhere(text) } else { format!("**/{text}") };
    if glob.ends_with('/') { format!("{glob}**") } else { glob }
}

/// The path's text, where there is one.
pub(crate) fn path_of(file: Option<&v1::File>) -> Option<&str> {
    let path = file?.path.as_ref()?;
    (!path.text.is_empty()).then_some(path.text.as_str())
}

/// The script of `sh -c SCRIPT`, of any shell: the argument behind the one that has the `c` of its
/// options, options between them left out.
pub(crate) fn shell_script(executable: Option<&str>, argv: &[String]) -> Option<String> {
    const SHELLS: [&str; 7] = ["sh", "bash", "dash", "zsh", "ksh", "ash", "fish"];
    let name = argv.first().map(|zeroth| base_name(zeroth).trim_start_matches('-'));
    let is_shell = [name, executable.map(base_name)].into_iter().flatten().any(|name| SHELLS.contains(&name));
    if !is_shell {
        return None;
    }
    let mut has_command = false;
    for argument in argv.get(1..)? {
        match argument.strip_prefix('-') {
            Some(options) if !options.starts_with('-') => has_command |= options.contains('c'),
            Some(_long) => {}
            None => return has_command.then(|| unescape(argument)),
        }
    }
    None
}

/// Events have text in which a backslash is doubled and bytes that are not UTF-8 are `\xNN`. A
/// script is wanted as it was: the doubled backslash is undone, unreadable bytes stay as they are.
pub(crate) fn unescape(text: &str) -> String {
    text.replace("\\\\", "\\")
}

/// One word in single quotes, as a shell reads it: `'\''` is a quote.
pub(crate) fn unquote(quoted: &str) -> String {
    quoted.replace(r"'\''", "'").replace(r#"'"'"'"#, "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(argv: &[&str]) -> Option<String> {
        let argv: Vec<String> = argv.iter().map(|&argument| argument.to_owned()).collect();
        shell_script(None, &argv)
    }

    #[test]
    fn the_script_of_a_shell_is_behind_its_options() {
        assert_eq!(script(&["/bin/bash", "-c", "ls"]).as_deref(), Some("ls"));
        assert_eq!(script(&["bash", "-c", "-l", "ls -l"]).as_deref(), Some("ls -l"));
        assert_eq!(script(&["-zsh", "-lc", "ls"]).as_deref(), Some("ls"));
        assert_eq!(script(&["sh", "script.sh", "-c"]), None);
        assert_eq!(script(&["sh", "-c"]), None);
        assert_eq!(script(&["cat", "-c", "x"]), None);
        assert_eq!(script(&[]), None);
    }

    #[test]
    fn quotes_inside_of_quotes_are_undone() {
        assert_eq!(unquote(r"echo '\''a b'\''"), "echo 'a b'");
    }

    #[test]
    fn a_home_is_any_folder() {
        assert_eq!(anywhere("~/.ssh/id_*"), "**/.ssh/id_*");
        assert_eq!(anywhere("/etc/shadow"), "/etc/shadow");
    }
}
