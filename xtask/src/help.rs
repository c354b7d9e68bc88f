//! `cargo xtask help [COMMAND]`, and what is said of a command that there is not.

use std::{process::ExitCode, time::Duration};

use crate::{
    args,
    commands::{COMMANDS, Command},
    lasted, step,
};

/// The list, or the help of one command; `None`: there is no such command.
pub(crate) fn text(name: Option<&str>) -> Option<String> {
    match name {
        None => Some(list(lasted::last)),
        Some(name) => command(name).map(|command| of(command, lasted::last(command.name))),
    }
}

pub(crate) fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// What to say of a command that there is not.
pub(crate) fn unknown(name: &str) -> String {
    let near = COMMANDS.iter().map(|command| (strsim::damerau_levenshtein(name, command.name), command.name));
    let near = near.min().filter(|(distance, known)| *distance <= (known.len() / 3).max(1));
    let meant = near.map(|(_, known)| format!("; did you mean `{known}`?")).unwrap_or_default();
    format!("xtask: there is no command `{name}`{meant}\n`cargo xtask help` lists them\n")
}

fn list(last: impl Fn(&str) -> Option<Duration>) -> String {
    let mut text = "usage: cargo xtask COMMAND, cargo xtask help COMMAND\n\n".to_owned();
    for command in COMMANDS {
        let took = last(command.name).map(|time| format!(" ({})", step::in_words(time))).unwrap_or_default();
        text.push_str(&format!("  {:<11} {}{took}\n", command.name, command.what));
    }
    text.push_str("\nIn brackets: how long it took here the last time that it succeeded.\n");
    text
}

fn of(command: &Command, last: Option<Duration>) -> String {
    let mut text = String::new();
    for (index, usage) in command.usage.iter().enumerate() {
        let word = if index == 0 { "usage:" } else { "      " };
        text.push_str(format!("{word} cargo xtask {} {usage}", command.name).trim_end());
        text.push('\n');
    }
    let took = match last {
        Some(time) => format!("The last time that it succeeded here it took {}.", step::in_words(time)),
        None => "It has not succeeded here yet.".to_owned(),
    };
    text.push_str(&format!("\n{}\n\n{}\n\n{took}\n", command.what, command.more));
    text
}

/// Prints the help of a command, or of all.
pub(crate) fn print(name: Option<&str>) -> ExitCode {
    match (text(name), name) {
        (Some(text), _) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        (None, name) => {
            eprint!("{}", unknown(name.unwrap_or_default()));
            ExitCode::from(args::EX_USAGE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_help_that_fits_a_terminal() {
        for command in COMMANDS {
            let text = of(command, Some(Duration::from_secs(200)));
            assert!(text.contains(command.what) && text.contains("3 min 20 s"), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
        }
        let list = list(|name| (name == "lint").then(|| Duration::from_secs(7)));
        assert!(list.contains("cargo-deny (7.0 s)\n"), "{list}");
        assert!(list.lines().all(|line| line.chars().count() <= 110), "{list}");
        assert_eq!(
            COMMANDS.iter().filter(|command| list.contains(&format!("  {} ", command.name))).count(),
            COMMANDS.len()
        );
    }

    #[test]
    fn a_mistyped_command_is_recognized_and_another_word_is_not() {
        let said = |name| unknown(name).lines().next().unwrap_or_default().to_owned();
        assert_eq!(said("tset"), "xtask: there is no command `tset`; did you mean `test`?");
        assert_eq!(said("packge"), "xtask: there is no command `packge`; did you mean `package`?");
        assert_eq!(said("deploy"), "xtask: there is no command `deploy`");
    }
}
