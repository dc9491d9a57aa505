// SPDX-License-Identifier: GPL-2.0

//! The users of the machine.

use crate::failure::{Failure, Result, Status};
use crate::machine::Machine;
use crate::view::Shown;
use std::fs;
use std::process::Command;

/// The names of users and their user IDs, as passwd(5) has them.
#[derive(Debug, Default)]
pub(crate) struct Users(Vec<(String, u32)>);

impl Users {
    /// Reads the users who are in `/etc/passwd`.
    pub(crate) fn read(machine: &Machine) -> Self {
        Self::parse(&fs::read_to_string(machine.path("/etc/passwd")).unwrap_or_default())
    }

    fn parse(passwd: &str) -> Self {
        let user = |line: &str| {
            let mut fields = line.split(':');
            Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
        };
        Self(passwd.lines().filter_map(user).collect())
    }

    /// Returns the name of the first user who has this ID.
    fn name(&self, uid: u32) -> Option<&str> {
        self.0
            .iter()
            .find(|(_, id)| *id == uid)
            .map(|(name, _)| name.as_str())
    }

    /// Returns what a user is shown as: the name, or the ID if there is none.
    pub(crate) fn show(&self, uid: u32) -> String {
        match self.name(uid) {
            Some(name) => Shown(name.as_bytes()).to_string(),
            None => uid.to_string(),
        }
    }

    fn uid(&self, name: &str) -> Option<u32> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, uid)| *uid)
    }

    /// Returns the ID of a user who is given by an ID or by a name.
    ///
    /// Users who are not in `/etc/passwd` are looked up as nsswitch.conf(5) says.
    pub(crate) fn find(&self, user: &str) -> Result<u32> {
        let elsewhere = || {
            let answer = Command::new("getent")
                .args(["passwd", "--", user])
                .output()
                .ok()?;
            Self::parse(&String::from_utf8(answer.stdout).ok()?).uid(user)
        };
        user.parse()
            .ok()
            .or_else(|| self.uid(user))
            .or_else(elsewhere)
            .ok_or_else(|| Failure::new(Status::Usage, format!("there is no user {user}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name_and_by_id() {
        let users = Users::parse("root:x:0:0:root:/root:/bin/sh\nbad\nx:x:y\nann:x:1000:1000::/:/");
        assert_eq!(users.name(1000), Some("ann"));
        assert_eq!(users.name(1), None);
        assert_eq!(users.find("ann").unwrap(), 1000);
        assert_eq!(users.find("17").unwrap(), 17);
        assert!(users.find("no:such user").is_err());
    }
}
