// SPDX-License-Identifier: GPL-2.0

//! What the kernel says, in `/dev/kmsg`, and what it is told there.

use crate::machine::Machine;
use crate::model::text::Text;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

/// The size of the largest record, as the kernel has it (PRINTK_MESSAGE_MAX).
const RECORD_MAX: usize = 2048;

/// The beginnings of messages about a module that do not have its name.
const ABOUT_MODULES: [&str; 4] = ["livepatch: ", "Loading of ", "Lockdown: ", "PKCS#7 "];

/// The messages of the kernel since a time.
pub(crate) struct Kmsg(File);

impl Kmsg {
    /// Begins now.
    pub(crate) fn since_now(machine: &Machine) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().try_into().unwrap_or_default())
            .open(machine.path("/dev/kmsg"))?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self(file))
    }

    /// Returns the messages since then that may say why kmod_rs could not be loaded.
    pub(crate) fn about_kmod_rs(mut self) -> Vec<Text> {
        let mut messages = Vec::new();
        let mut record = [0; RECORD_MAX];
        loop {
            match self.0.read(&mut record) {
                Ok(0) => break,
                Ok(length) => messages.extend(message(&record[..length]).map(Text::from)),
                // Records were overwritten. The next read goes on with the oldest one.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
                // There is no other record.
                Err(_) => break,
            }
        }
        messages
    }
}

/// Adds a line to the log of the kernel, as a notice.
pub(crate) fn write(machine: &Machine, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .open(machine.path("/dev/kmsg"))?;
    // In one piece, as each write is a line.
    io::Write::write_all(&mut file, format!("<5>{line}\n").as_bytes())
}

/// Returns the message of a record, if it is the kernel's and is about a module.
///
/// A record is `PRIORITY,SEQUENCE,TIME,FLAGS;MESSAGE`, a newline, and more lines for programs. Bits
/// from 3 on in the priority are the facility, which is 0 for the kernel and for nobody else.
fn message(record: &[u8]) -> Option<&[u8]> {
    let semicolon = record.iter().position(|&b| b == b';')?;
    let (head, message) = (&record[..semicolon], &record[semicolon + 1..]);
    let priority = head.split(|&b| b == b',').next()?;
    let priority: u32 = std::str::from_utf8(priority).ok()?.parse().ok()?;
    let message = message.split(|&b| b == b'\n').next()?;
    let is_about_modules = message.windows(7).any(|part| part == b"kmod_rs")
        || ABOUT_MODULES
            .iter()
            .any(|beginning| message.starts_with(beginning.as_bytes()));
    (priority >> 3 == 0 && is_about_modules).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn what_is_about_the_module() {
        for (record, expected) in [
            ("3,1,2,-;kmod_rs: no\n SUBSYSTEM=x\n", Some("kmod_rs: no")),
            (
                "5,1,2,-;Loading of unsigned module is rejected\n",
                Some("Loading of unsigned module is rejected"),
            ),
            (
                "4,1,2,-;livepatch: enabling patch 'x'\n",
                Some("livepatch: enabling patch 'x'"),
            ),
            ("4,1,2,-;usb 1-1: new device\n", None),
            // A user has written this.
            ("12,1,2,-;kmod_rs: no\n", None),
            ("", None),
            (";", None),
            ("x,1;kmod_rs", None),
        ] {
            assert_eq!(
                message(record.as_bytes()),
                expected.map(str::as_bytes),
                "{record}"
            );
        }
    }
}
