// SPDX-License-Identifier: GPL-2.0

//! Gives the command the version in the file VERSION, which the module has as well.

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../VERSION");
    println!("cargo:rerun-if-changed={}", file.display());
    println!(
        "cargo:rustc-env=KMOD_RS_VERSION={}",
        fs::read_to_string(file)?.trim()
    );
    Ok(())
}
