//! The help of a program as a page of the documentation.

use clap::Command;

/// Columns of the page.
const WIDTH: usize = 100;

/// What `--help` prints of a program and of each of its commands, under a heading each, in
/// Markdown. Hidden commands are left out.
#[must_use]
pub fn page(title: &str, command: Command) -> String {
    let mut page =
        format!("# {title}\n\nWhat `--help` prints, command by command. Generated from the program.\n");
    let mut root = command.term_width(WIDTH);
    root.build();
    let name = root.get_name().to_owned();
    below(&mut page, &mut root, &name);
    page
}

fn below(page: &mut String, command: &mut Command, name: &str) {
    let text = command.render_long_help().to_string();
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    page.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", text.trim_end()));
    for command in command.get_subcommands_mut() {
        if !command.is_hide_set() && command.get_name() != "help" {
            let name = format!("{name} {}", command.get_name());
            below(page, command, &name);
        }
    }
}
