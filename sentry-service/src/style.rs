//! How the help of both programs looks.

use clap::builder::styling::{AnsiColor, Styles};

/// Columns that help is broken at, on a terminal that has more.
pub const WIDTH: usize = 110;

pub const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());
