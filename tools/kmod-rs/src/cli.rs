// SPDX-License-Identifier: GPL-2.0

//! What the user can say. The manual page and the completions are made from this.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Show and control kmod_rs, which loads kernel modules on request.
#[derive(Debug, Parser)]
#[command(name = "kmod-rs", version = env!("KMOD_RS_VERSION"), arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Show one JSON object on each line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Take the records from this file, which `kmod-rs save` has written
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,

    /// Show times as seconds since boot, like t= in a record, and not as the time of the day
    #[arg(long, global = true)]
    pub(crate) monotonic: bool,

    /// Take the files of the machine from below this directory
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        hide = true,
        default_value = "/"
    )]
    pub(crate) root: PathBuf,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have kmod_rs serve requests: load it, and wait until it has taken over
    ///
    /// What stands in the way is said before anything is changed. After loading, the settings for
    /// kmod_rs in sysctl.d(5) are applied. If requests are being given back, this is turned round.
    /// An interrupt (Ctrl-C) ends the wait, and says how to go on.
    On {
        /// Load this file, rather than the module that is installed
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },

    /// Give requests back to the kernel, and unload kmod_rs
    ///
    /// What stands in the way is said before anything is given up. A take-over that is still in
    /// progress is turned round. Then this waits for the requests in flight, and says which. An
    /// interrupt (Ctrl-C) ends the wait, and says how to go on.
    Off,

    /// Say why kmod_rs cannot be built, loaded or take over here, and what to do about it
    ///
    /// The exit status is 0 if nothing is known to stand in the way, and otherwise 1. Some checks
    /// need root.
    Doctor,

    /// Show requests that were made
    ///
    /// The requests that the module remembers, and those in flight. The last column has the modules
    /// that came, the rule that denies the request, its loop, or how its helper ended.
    Recent(Filter),
    /// Save all records to a file, which --from reads on any machine
    ///
    /// The file is text, and only its owner can read it. It is written as a whole or not at all.
    Save {
        /// The file
        file: PathBuf,
    },
}

/// Which requests are shown. All that is given has to hold.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Only requests for names that this pattern matches, as in autoload_allow
    #[arg(long, value_name = "PATTERN")]
    pub(crate) name: Option<String>,

    /// Only requests by this user: a name or a user ID
    #[arg(long, value_name = "USER")]
    pub(crate) uid: Option<String>,

    /// Only requests by tasks in cgroups that this pattern matches, as in autoload_allow
    #[arg(long, value_name = "PATTERN")]
    pub(crate) cgroup: Option<String>,

    /// Only requests with this outcome
    #[arg(long, value_name = "WORD")]
    pub(crate) outcome: Option<String>,

    /// Only requests that were denied, or would have been
    #[arg(long)]
    pub(crate) denied: bool,

    /// Only requests since then: 10m, 2h, 3d ago, "2026-11-27 10:00", or seconds since boot
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
}
