// SPDX-License-Identifier: GPL-2.0

//! Writes the manual page of the command, and its completions, into a directory.
//!
//! All of it is made from `cli.rs`, so that it says what the command understands.
//!
//! usage: `cargo run --example pages -- DIRECTORY`

#[path = "../src/cli.rs"]
mod cli;

use clap::Command;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use std::env;
use std::fs;
use std::io;
use std::io::Write;
use std::path::PathBuf;

/// What the page says at its end, which clap does not know.
const END: &str = include_str!("end-of-page.man");

fn main() -> io::Result<()> {
    let Some(directory) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: pages DIRECTORY"));
    };
    fs::create_dir_all(&directory)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut cli::Cli::command(), "kmod-rs", &directory)?;
    }
    fs::write(directory.join("kmod-rs.8"), page()?)
}

/// Returns the page, in the macros of man(7).
fn page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let mut command = cli::Cli::command().disable_help_subcommand(true);
    command.build();
    // Not by render_title(), which leaves out a date that is empty, but not what comes after it.
    writeln!(
        page,
        r#".TH kmod\-rs 8 "" "kmod\-rs {}" "System Administration""#,
        env!("KMOD_RS_VERSION")
    )?;
    let man = Man::new(command.clone());
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    writeln!(page, ".SH SUBCOMMANDS")?;
    for subcommand in command.get_subcommands().filter(|s| !s.is_hide_set()) {
        subsection(&mut page, subcommand)?;
    }
    page.extend_from_slice(END.as_bytes());
    Ok(page)
}

/// Adds a subcommand with its own options, and the subcommands that it has.
fn subsection(page: &mut Vec<u8>, command: &Command) -> io::Result<()> {
    let own = with_own_options(command);
    let man = Man::new(own.clone());
    let mut part = Vec::new();
    man.render_synopsis_section(&mut part)?;
    man.render_description_section(&mut part)?;
    if own.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut part)?;
    }
    let name = command.get_bin_name().unwrap_or(command.get_name());
    writeln!(page, ".SS {}", name.replace('-', "\\-"))?;
    for line in part.split_inclusive(|&byte| byte == b'\n') {
        // Its sections are paragraphs here. Each part sets up the same macros anew.
        match line {
            b".SH SYNOPSIS\n" => {}
            line if line.starts_with(b".SH ") => page.extend_from_slice(b".PP\n"),
            line => page.extend_from_slice(line),
        }
    }
    for subcommand in command.get_subcommands().filter(|s| !s.is_hide_set()) {
        subsection(page, subcommand)?;
    }
    Ok(())
}

/// Returns the command with the options hidden that all subcommands have: they are explained once.
fn with_own_options(command: &Command) -> Command {
    command.clone().mut_args(|arg| {
        let is_shared = arg.is_global_set() || arg.get_id() == "help";
        arg.hide(is_shared)
    })
}
