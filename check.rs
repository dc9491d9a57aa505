// SPDX-License-Identifier: GPL-2.0

//! `/proc/kmod_rs/check`: what the rules in force say of a name, and why.
//!
//! A task writes a name to the file and reads what the record of its request for that name would
//! say, if it made one now. request/judging.rs decides, as for a request, and nothing comes of it:
//! nothing is loaded, logged, counted or remembered.
//!
//! Who is judged is the task that writes. Only who may change the rules can open the file, but may
//! then have others write to it: a child with the user, the cgroup or the namespaces that the
//! question is about. So nothing is checked when somebody writes. This gives nobody any power, as
//! nothing but the answer changes. A privileged program that is made to write to a file which it was
//! started with, as standard output for example, answers what the rules say of that program. So what
//! is given away with an open file is knowledge: of the rules, and of the task that has written.

use crate::{
    firewall::{
        Firewall,
        RequesterView, //
    },
    livepatch,
    records::record::{
        self,
        ActsAsKeys,
        DeniedModuleKeys, //
    },
    request::{
        helpers::Helpers,
        judging::{
            Judge,
            Judgement, //
        },
        refusals::Refusals,
        settings::Settings, //
    },
    wrappers::{
        log::{
            Known,
            Quoted, //
        },
        modprobe_path::ModprobePath,
        name::{
            Name,
            NAME_LEN, //
        },
        private_symbols::PrivateSymbols,
        proc_file::Answers,
        requester::{
            self,
            Account,
            Origin,
            Requester, //
        }, //
    }, //
};
use kernel::{
    fmt,
    prelude::*,
    str::CString,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

/// What is asked about a name.
pub(crate) struct Check {
    /// Who may have which module loaded.
    pub(crate) firewall: Arc<Firewall>,
    /// What is known of modules that were refused.
    pub(crate) refusals: Arc<Refusals>,
    /// The helpers that run.
    pub(crate) helpers: Arc<Helpers>,
    /// The settings of requests.
    pub(crate) settings: Arc<Settings>,
    /// The private symbols of the kernel.
    pub(crate) symbols: PrivateSymbols,
}

impl Answers for Check {
    const DIRECTORY: &'static CStr = c"kmod_rs";
    const NAME: &'static CStr = c"check";
    /// The longest name and a newline, and one byte more, by which a longer one is known.
    const MAX: usize = NAME_LEN + 1;

    /// Returns [`EPERM`], or [`ENODEV`] if no requests come here, so that no rules are in force.
    fn may_open(&self) -> Result {
        requester::may_configure()?;
        if !livepatch::is_active() {
            pr_warn!(
                "autoload rules not checked ({}): the kernel serves requests, without rules; load kmod_rs again\n",
                Requester::current(),
            );
            return Err(ENODEV);
        }
        Ok(())
    }

    /// Returns the errors of [`Name::from_bytes`], [`ENODEV`] as above, or [`ENOMEM`].
    fn answer(&self, question: &[u8]) -> Result<CString> {
        let name = Name::from_bytes(question.strip_suffix(b"\n").unwrap_or(question))?;

        // This is not logged, as anybody may write.
        if !livepatch::is_active() {
            return Err(ENODEV);
        }
        let answer = Answer {
            judgement: self.judge(&name)?,
            name,
            requester: Requester::current(),
            origin: Origin::current(),
        };
        CString::try_from_fmt(fmt!("{answer}\n")).map_err(|_| ENOMEM)
    }
}

impl Check {
    /// Judges a request for this name that the current task could make.
    fn judge(&self, name: &Name) -> Result<Option<Judgement>> {
        let chain = self.helpers.chain_of_current(Account::current());
        let path = ModprobePath::read(self.symbols)?;
        let judge = Judge {
            firewall: &self.firewall,
            refusals: &self.refusals,
        };

        Ok(judge.judge(
            name,
            RequesterView {
                is_nested: chain.is_nested(),
                cgroup: &chain.cgroup(),
            },
            self.firewall.locked_instead_of(&path).unwrap_or(&path),
            self.settings.helper_env.load(Relaxed) != 0,
        ))
    }
}

/// The answer, with the keys of a record.
struct Answer {
    name: Name,
    /// What the rules say; [`None`] if they cannot deny anything.
    judgement: Option<Judgement>,
    requester: Requester,
    origin: Origin,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            judgement,
            requester,
            origin,
        } = self;
        let cgroup = origin.cgroup();

        f.write_fmt(fmt!("name={} ", Quoted(name.as_cstr().to_bytes())))?;
        match judgement {
            Some(judgement) => judgement.verdict.fmt(f)?,
            None => f.write_str("policy=- rule=-")?,
        }
        f.write_fmt(fmt!(
            " pid={} comm={} uid={} userns={} cgroup={}",
            requester.pid(),
            Quoted(requester.comm()),
            requester.uid(),
            record::userns(origin.is_in_init_userns),
            Known((!cgroup.is_empty()).then_some(Quoted(cgroup))),
        ))?;
        let denied_module = judgement
            .as_ref()
            .and_then(|judgement| Some((judgement.module?, judgement.verdict)));
        ActsAsKeys(origin.acts_as).fmt(f)?;
        DeniedModuleKeys(denied_module.as_ref()).fmt(f)
        // New keys come here, at the end.
    }
}
