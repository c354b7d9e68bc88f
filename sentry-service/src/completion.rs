//! What a shell offers at the Tab key: a script that it reads once, and the program's own answer to
//! what can be typed next, which may ask whoever knows (runs, findings).

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    path::Path,
};

use clap::Command;
use clap_complete::{
    CompleteEnv, Shell,
    engine::{self, CompletionCandidate},
    env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh},
};

/// By it a script asks. The usual `COMPLETE` may be meant for a command that the program runs.
const VARIABLE: &str = "AGENTSENTRY_COMPLETE";

const SHELLS: Shells<'static> = Shells(&[&Described, &Elvish, &Fish, &Powershell, &Zsh]);

/// Answers a shell that asks; false where none does. Has to come before anything else that the
/// program does. What goes wrong is not shown: it would stand in the middle of a command line.
pub fn answer(command: impl Fn() -> Command) -> bool {
    let here = env::current_dir().ok();
    let asked = CompleteEnv::with_factory(command).var(VARIABLE).shells(SHELLS);
    asked.try_complete(env::args_os(), here.as_deref()).unwrap_or(true)
}

/// The script for a shell. It calls the program by its name.
#[must_use]
pub fn script(shell: Shell, command: &Command) -> String {
    let name = command.get_name();
    let mut script = Vec::new();
    // Every shell of the type is one of the list, and memory takes what is written.
    if let Some(completer) = SHELLS.completer(&shell.to_string()) {
        drop(completer.write_registration(VARIABLE, name, name, name, &mut script));
    }
    let mut script = String::from_utf8_lossy(&script).trim().to_owned() + "\n";
    if shell == Shell::Zsh {
        // From a directory of completions zsh runs the script as the function `_NAME`, and only
        // when it is to complete for the first time.
        let function = format!("_clap_dynamic_completer_{}", name.replace('-', "_"));
        script += &format!("if [[ $funcstack[1] == _{name} ]]; then\n    {function} \"$@\"\nfi\n");
    }
    script
}

/// Bash, which has no descriptions of its own: in a list of several they stand behind the words.
struct Described;

impl EnvCompleter for Described {
    fn name(&self) -> &'static str {
        Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        Bash.is(name)
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        program: &str,
        completer: &str,
        script: &mut dyn Write,
    ) -> io::Result<()> {
        Bash.write_registration(variable, name, program, completer, script)
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        here: Option<&Path>,
        answer: &mut dyn Write,
    ) -> io::Result<()> {
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
        let at = number("_CLAP_COMPLETE_INDEX").unwrap_or_default();
        let is_begun = words.get(at).is_some_and(|word| !word.is_empty());
        let mut candidates = engine::complete(command, words, at, here)?;
        if !is_begun && !candidates.iter().all(is_option) {
            candidates.retain(|candidate| !is_option(candidate));
        }
        // Else bash may put the text into the line.
        let is_list = number("_CLAP_COMPLETE_COMP_TYPE").is_some_and(|kind| LISTS.contains(&kind));
        let separator = env::var("_CLAP_IFS").unwrap_or_else(|_absent| "\n".to_owned());
        write!(answer, "{}", lines(&candidates, is_list).join(&separator))
    }
}

/// `COMP_TYPE` of what only lists: `?`, `!` and `@`.
const LISTS: [usize; 3] = [63, 33, 64];
/// Characters of a description.
const DESCRIPTION: usize = 60;

fn is_option(candidate: &CompletionCandidate) -> bool {
    candidate.get_value().as_encoded_bytes().starts_with(b"-")
}

fn lines(candidates: &[CompletionCandidate], is_list: bool) -> Vec<String> {
    let words: Vec<String> =
        candidates.iter().map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect();
    let width = words.iter().map(|word| word.chars().count()).max().unwrap_or_default();
    // The only one is what bash takes.
    if !is_list || words.len() < 2 {
        return words;
    }
    let described = |(word, candidate): (String, &CompletionCandidate)| {
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        let help: String = help.lines().next().unwrap_or_default().chars().take(DESCRIPTION).collect();
        if help.is_empty() { word } else { format!("{word:<width$}  ({help})") }
    };
    words.into_iter().zip(candidates).map(described).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates() -> [CompletionCandidate; 2] {
        [
            CompletionCandidate::new("0199aa").help(Some("claude, ended".into())),
            CompletionCandidate::new("0199b"),
        ]
    }

    #[test]
    fn a_list_of_several_has_descriptions() {
        assert_eq!(lines(&candidates(), true), ["0199aa  (claude, ended)", "0199b"]);
        assert_eq!(lines(&candidates(), false), ["0199aa", "0199b"]);
        assert_eq!(lines(&candidates()[..1], true), ["0199aa"], "bash puts it into the line");
    }

    #[test]
    fn every_shell_has_a_script_that_calls_the_program() {
        let command = Command::new("my-program");
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let script = script(shell, &command);
            assert!(script.contains("my-program") && script.contains(VARIABLE), "{shell}: {script}");
        }
    }
}
