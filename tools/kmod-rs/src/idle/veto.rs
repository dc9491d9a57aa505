// SPDX-License-Identifier: GPL-2.0

//! Programs of the administrator's that say whether a module stays.

use crate::file::check_trusted;
use crate::machine::Machine;
use rustix::process::{kill_process_group, Pid, Signal};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where the programs are.
pub(crate) const DIRECTORY: &str = "/etc/kmod-rs/autoclean.d";

/// How long each of them may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// How often it is looked whether one has ended, which gives no event without a thread.
const POLL: Duration = Duration::from_millis(5);

/// Asks all programs about a module. Returns what the first says that keeps it.
///
/// One that cannot be asked keeps it as well: it may be there for a reason. A file that cannot be
/// executed is none.
pub(crate) fn ask(machine: &Machine, module: &str, limit: Duration) -> Option<String> {
    let directory = machine.path(DIRECTORY);
    if directory.exists() {
        if let Err(said) = check_trusted(&directory) {
            return Some(format!("{DIRECTORY} {said}"));
        }
    }
    machine.names(DIRECTORY).into_iter().find_map(|name| {
        let path = directory.join(&name);
        // A link to nothing is not executable, and is said.
        let executable =
            fs::metadata(&path).map(|it| it.is_file() && it.permissions().mode() & 0o111 != 0);
        match executable {
            Ok(false) => return None,
            Ok(true) => (),
            Err(e) => return Some(format!("{DIRECTORY}/{name} cannot be asked: {e}")),
        }
        let answer = check_trusted(&path).and_then(|()| run(&path, module, limit));
        answer
            .err()
            .map(|said| format!("{DIRECTORY}/{name} {said}"))
    })
}

/// Runs a program. Fails unless it says in time that the module may go.
fn run(path: &Path, module: &str, limit: Duration) -> Result<(), String> {
    let end = Instant::now() + limit;
    let mut child = Command::new(path)
        .arg(module)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // All that it starts is killed with it.
        .process_group(0)
        .spawn()
        .map_err(|e| format!("cannot be asked: {e}"))?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(_)) => return Err("says no".into()),
            Ok(None) if Instant::now() < end => sleep(POLL),
            Ok(None) => break,
            Err(e) => return Err(format!("cannot be asked: {e}")),
        }
    }
    // CAST: The kernel has no process ID above 2^22.
    if let Some(group) = Pid::from_raw(child.id() as i32) {
        let _ = kill_process_group(group, Signal::Kill);
    }
    let _ = child.wait();
    Err(format!("has not answered in {} s", limit.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::Fake;

    fn set_mode(fake: &Fake, file: &str, mode: u32) {
        let path = fake.machine().path(file);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A machine with one program.
    fn with(script: &str) -> Fake {
        let fake = Fake::new();
        fake.write(&format!("{DIRECTORY}/a"), script);
        set_mode(&fake, DIRECTORY, 0o755);
        set_mode(&fake, &format!("{DIRECTORY}/a"), 0o755);
        fake
    }

    fn said(fake: &Fake) -> Option<String> {
        ask(fake.machine(), "xfs", Duration::from_secs(60))
    }

    #[test]
    fn nobody_to_ask() {
        assert_eq!(said(&Fake::new()), None);
        let fake = with("exit 1");
        set_mode(&fake, &format!("{DIRECTORY}/a"), 0o644);
        assert_eq!(said(&fake), None);
    }

    #[test]
    fn yes_and_no() {
        // By the shell's name: a file that was just written cannot be executed while another thread
        // starts a program.
        let fake = Fake::new();
        fake.write(&format!("{DIRECTORY}/README"), "");
        set_mode(&fake, DIRECTORY, 0o755);
        let shell = |script: &str, limit| {
            let path = fake.machine().path("/script");
            fs::write(&path, script).unwrap();
            run(Path::new("/bin/sh"), path.to_str().unwrap(), limit)
        };
        let long = Duration::from_secs(60);
        assert_eq!(shell("exit 0", long), Ok(()));
        assert_eq!(shell("exit 3", long), Err("says no".into()));
        let began = Instant::now();
        let said = shell("sleep 1000 & wait", Duration::from_millis(100));
        assert_eq!(said, Err("has not answered in 0.1 s".into()));
        assert!(began.elapsed() < Duration::from_secs(500));
    }

    #[test]
    fn what_cannot_be_trusted_keeps_all() {
        let fake = with("exit 0");
        set_mode(&fake, &format!("{DIRECTORY}/a"), 0o775);
        assert_eq!(
            said(&fake).as_deref(),
            Some("/etc/kmod-rs/autoclean.d/a can be written by others than root: run \"chmod go-w\" on it")
        );
        set_mode(&fake, &format!("{DIRECTORY}/a"), 0o644);
        fake.link(&format!("{DIRECTORY}/b"), "/none");
        assert!(said(&fake)
            .unwrap()
            .starts_with("/etc/kmod-rs/autoclean.d/b cannot be asked"));
        set_mode(&fake, DIRECTORY, 0o777);
        assert!(said(&fake)
            .unwrap()
            .starts_with("/etc/kmod-rs/autoclean.d can be written"));
    }
}
