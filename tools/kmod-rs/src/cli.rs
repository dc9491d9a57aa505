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

    /// Say whether kmod_rs is loaded and serves requests, and how it is set up
    ///
    /// The exit status is 0 if kmod_rs serves requests, 3 if it is loaded and does not, and 4 if it
    /// is not loaded. Without root, the rules and the counters are not shown.
    Status {
        /// Make a request, for a file system that nobody has, and say whether kmod_rs served it
        ///
        /// This shows another livepatch that takes all requests. It needs root.
        #[arg(long)]
        probe: bool,
    },

    /// Show requests that were made
    ///
    /// The requests that the module remembers, and those in flight. The last column has the modules
    /// that came, the rule that denies the request, its loop, or how its helper ended.
    Recent(Filter),

    /// Say which request brought a module, who made it, and in which service
    ///
    /// Or say that no request is known, that the module is built into the kernel, or that it is not
    /// there; the exit status is then 1.
    Who {
        /// The name of the module; - and _ are the same
        module: String,
    },

    /// Show requests as they return, until Ctrl-C
    ///
    /// The trace events of kmod_rs tell of them, through a trace instance that is removed at the
    /// end. What others trace is left alone. It goes on when kmod_rs is unloaded and loaded again.
    Watch(Filter),

    /// Show what is going on: names, requesters, outcomes, times and slots, until `q`
    ///
    /// What the module remembers is shown first; then the trace events of kmod_rs tell of each
    /// request. If there are no trace events, the records are read each second.
    Top,

    /// Write denials, loops, timeouts and failures to the journal, until Ctrl-C
    ///
    /// Each is an entry with the fields KMOD_RS_NAME, KMOD_RS_UID, KMOD_RS_OUTCOME and so on: those
    /// of the record, in capitals. To be run as a service. It waits for kmod_rs to be loaded.
    Journal,

    /// Save all records to a file, which --from reads on any machine
    ///
    /// The file is text, and only its owner can read it. It is written as a whole or not at all.
    Save {
        /// The file
        file: PathBuf,
    },

    /// Make a picture of requests over time, as an SVG file
    ///
    /// There is a bar for each request: striped while it waited in the queue, then in the colour
    /// of its outcome while its helper ran. Requests that a helper made are below the request that
    /// it ran for, and indented. Long times without requests are cut out.
    Plot(Plot),

    /// Show which requests took longest
    ///
    /// The time is that in the queue and that of the helper together.
    Blame(Filter),

    /// Print the list for autoload_allow that would have been needed
    ///
    /// Run it when autoload_enforce has been 0 for some days. The list has an entry for each name
    /// that would have been denied, and those entries of the present list that were used. What is
    /// left out is reported.
    Learn(Learn),

    /// Say what the rules in force say of a name, and why
    ///
    /// The module answers, by the code that decides on requests; nothing is loaded or recorded. The
    /// exit status is 0 if the rules allow it, and 1 if they deny it, whether or not they are
    /// enforced. It is 1 without an answer if they cannot be asked.
    Check(Check),

    /// List, show and enable the profiles: rules for the firewall to begin with
    #[command(subcommand)]
    Profiles(Profiles),

    /// Show which requests are answered from memory, or forget these answers
    ///
    /// Answers are remembered if kernel.kmod_rs.answers is not 0. They are forgotten as soon as
    /// something changes that modprobe reads, or a module is unloaded. If there are none, it is said
    /// why.
    Answers(Answers),

    /// Show which modules could go again, and why the others stay
    ///
    /// These are the modules that came by a request. For each there is the name that was requested,
    /// how long it is idle as far as that is known, and what speaks against unloading it. Nothing
    /// is changed.
    Idle(Idle),

    /// Unload a module that came by a request and is not used any more; without --yes, say which
    ///
    /// A module goes if nothing that `kmod-rs idle` shows speaks against it, in two passes that are
    /// --gap apart, and if no program in /etc/kmod-rs/autoclean.d says no. What modprobe unloads
    /// with it is judged alike. There is at most one in each pass: run it again and again, as
    /// kmod-rs-autoclean.timer does.
    Autoclean(Autoclean),

    /// Keep what was set in a module, and put it back when the module comes again
    ///
    /// For the modules that have a file MODULE.conf in /etc/kmod-rs/settings.d, which says what is
    /// kept: parameters, sysctls, and what commands do.
    #[command(subcommand)]
    Settings(Settings),

    /// Write numbers for Prometheus, as the textfile collector of node_exporter reads them
    ///
    /// If kmod_rs is not loaded, kmod_rs_active is 0, and nothing else is there.
    Metrics(Metrics),
}

/// What `plot` takes.
#[derive(Args, Debug)]
pub(crate) struct Plot {
    #[command(flatten)]
    pub(crate) filter: Filter,

    /// Write the picture to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// What `learn` takes.
#[derive(Args, Debug)]
pub(crate) struct Learn {
    /// Set the list as well: all of it or, if anything goes wrong, nothing
    #[arg(long)]
    pub(crate) apply: bool,

    /// Files with records, of `kmod-rs save` or lines of the file recent; - is standard input
    #[arg(value_name = "FILE", conflicts_with = "from")]
    pub(crate) files: Vec<PathBuf>,
}

/// What `check` takes.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The name that a request would be for: net-pf-9, fs-xfs
    pub(crate) name: String,

    /// For a process of this user: a name or a user ID
    ///
    /// It has no capabilities, unless the user is root. Its groups do not count in the rules.
    #[arg(long = "as", value_name = "USER")]
    pub(crate) user: Option<String>,

    /// For a process in this cgroup: /system.slice/iwd.service
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<String>,

    /// For a process without capabilities, as a daemon of root's that has dropped them
    #[arg(long)]
    pub(crate) no_capabilities: bool,
}

/// What can be done with profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum Profiles {
    /// List the profiles
    List,

    /// Show the file of a profile
    Show {
        /// The name of the profile
        name: String,
    },

    /// Write a profile to /etc/sysctl.d/60-kmod_rs.conf
    ///
    /// It counts from the next boot on. Without --enforce, what its rules would deny is allowed,
    /// and recorded. What the profile needs in /etc/modules-load.d is written as well.
    Enable(Enable),
}

/// What `profiles enable` takes.
#[derive(Args, Debug)]
pub(crate) struct Enable {
    /// The name of the profile
    pub(crate) name: String,

    /// Enforce the rules
    #[arg(long)]
    pub(crate) enforce: bool,

    /// Set the rules now as well
    #[arg(long)]
    pub(crate) now: bool,

    /// Replace a file that was changed by hand
    #[arg(long)]
    pub(crate) force: bool,
}

/// What `answers` takes.
#[derive(Args, Debug)]
pub(crate) struct Answers {
    /// Forget all answers
    #[arg(long)]
    pub(crate) flush: bool,
}

/// What `idle` takes.
#[derive(Args, Debug)]
pub(crate) struct Idle {
    /// Show the modules that did not come by a request as well
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) times: Times,
}

/// What `autoclean` takes.
#[derive(Args, Debug)]
pub(crate) struct Autoclean {
    /// Do it, and log what went
    #[arg(long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) times: Times,
}

/// What can be done with settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Settings {
    /// Keep the settings of modules that are loaded
    ///
    /// They are kept in /var/lib/kmod-rs/settings. Parameters are written to /run/modprobe.d as
    /// well, so that the module has them from its start when it is loaded again.
    Save {
        /// The names of the modules; - and _ are the same
        #[arg(required = true, value_name = "MODULE")]
        modules: Vec<String>,
    },

    /// Put the settings of modules back
    ///
    /// Parameters are written to /run/modprobe.d, for the next time that the module is loaded. If
    /// it is loaded, its sysctls are set, and its command is run.
    Restore {
        /// The names of the modules; without any, all that have a file in /etc/kmod-rs/settings.d
        #[arg(value_name = "MODULE")]
        modules: Vec<String>,
    },
}

/// How long a module has to be idle.
#[derive(Args, Debug, Default)]
pub(crate) struct Times {
    /// How long a module has to be idle: 30s, 10min, 2h [default: 10min, or as in autoclean.conf]
    #[arg(long, value_name = "TIME")]
    pub(crate) idle: Option<String>,

    /// How far apart the passes are that see it so [default: 1min, or as in autoclean.conf]
    #[arg(long, value_name = "TIME")]
    pub(crate) gap: Option<String>,
}

/// What `metrics` takes.
#[derive(Args, Debug)]
pub(crate) struct Metrics {
    /// Write to this file instead of standard output; the old one is there until it is whole
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
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

    /// Only requests with this outcome: loaded, exit, denied and so on, or in-flight
    #[arg(long, value_name = "WORD")]
    pub(crate) outcome: Option<String>,

    /// Only requests that were denied, or would have been
    #[arg(long)]
    pub(crate) denied: bool,

    /// Only requests since then: 10m, 2h, 3d ago, "2026-11-27 10:00", or seconds since boot
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// Only requests until then, likewise: --until 60 is the first minute of a boot
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}
