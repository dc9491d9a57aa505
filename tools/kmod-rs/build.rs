// SPDX-License-Identifier: GPL-2.0

//! Gives the command what the project has in one place: the version in the file VERSION, and the
//! supported kernels in scripts/lib.sh.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let version = read("VERSION")?;
    println!("cargo:rustc-env=KMOD_RS_VERSION={}", version.trim());
    let lib = read("scripts/lib.sh")?;
    for name in ["MINORS", "SUPPORTED"] {
        println!("cargo:rustc-env=KMOD_RS_{name}={}", value(&lib, name)?);
    }
    Ok(())
}

/// Reads a file of the project.
///
/// Where that is depends on when this runs, not on when it was compiled: checkouts may share what
/// is built.
fn read(name: &str) -> Result<String, Box<dyn Error>> {
    let package = env::var("CARGO_MANIFEST_DIR")?;
    let file = Path::new(&package).join("../..").join(name);
    println!("cargo:rerun-if-changed={}", file.display());
    Ok(fs::read_to_string(file)?)
}

/// Returns what a line `NAME="VALUE"` of a shell script sets.
fn value<'a>(script: &'a str, name: &str) -> Result<&'a str, String> {
    script
        .lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix("=\"")?
                .strip_suffix('"')
        })
        .ok_or_else(|| format!("scripts/lib.sh has no {name}"))
}
