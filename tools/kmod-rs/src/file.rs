// SPDX-License-Identifier: GPL-2.0

//! Files that others read, and files that others could have written.

use crate::failure::{Failure, Result, Status};
use std::fs;
use std::fs::Permissions;
use std::io;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Writes a file as a whole or not at all, even if the disk is full or the machine crashes.
///
/// A file that is there already is replaced. Anything else that is there, such as a device, stays,
/// and is a failure.
pub(crate) fn write_whole(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let failure = |e: io::Error| {
        Failure::new(
            Status::Error,
            format!("cannot write {}: {e}", path.display()),
        )
    };
    if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
        return Err(failure(io::Error::other(
            "there is something that is no file",
        )));
    }
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)
        .map_err(failure)?;
    file.write_all(content).map_err(failure)?;
    // The umask does not count.
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))
        .map_err(failure)?;
    file.as_file().sync_all().map_err(failure)?;
    file.persist(path).map_err(|e| failure(e.error))?;
    Ok(())
}

/// Writes a file that everybody may read as [`write_whole`] does, or to standard output if there is
/// none.
pub(crate) fn write_or_print(path: Option<&Path>, content: &[u8]) -> Result<()> {
    match path {
        Some(path) => write_whole(path, content, 0o644),
        None => Ok(io::stdout().lock().write_all(content)?),
    }
}

/// Checks that a file or a directory is the administrator's alone: its owner is root, or whoever runs
/// this, nobody else may write to it, and it is no link. Otherwise says what is wrong with it.
pub(crate) fn check_trusted(path: &Path) -> std::result::Result<(), String> {
    let it = fs::symlink_metadata(path).map_err(|e| format!("cannot be looked at: {e}"))?;
    if it.is_symlink() {
        return Err("is a symbolic link: put the file itself there".into());
    }
    if it.uid() != 0 && it.uid() != rustix::process::geteuid().as_raw() {
        return Err("does not belong to root: run \"chown root\" on it".into());
    }
    if it.mode() & 0o022 != 0 {
        return Err("can be written by others than root: run \"chmod go-w\" on it".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_as_a_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write_whole(&path, b"old", 0o644).unwrap();
        write_whole(&path, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        assert!(write_whole(directory.path(), b"", 0o600).is_err());
        assert!(write_whole(Path::new("/dev/full"), b"", 0o600).is_err());
        assert!(!fs::metadata("/dev/full").unwrap().is_file());
    }
    #[test]
    fn whose_a_file_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let said = || check_trusted(&path).map_err(|said| said[..14].to_owned());
        assert_eq!(said(), Err("cannot be look".into()));
        fs::write(&path, "").unwrap();
        for (mode, expected) in [(0o755, true), (0o775, false), (0o757, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(said().is_ok(), expected, "{mode:o}");
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(said(), Err("is a symbolic ".into()));
    }
}
