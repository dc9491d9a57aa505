// SPDX-License-Identifier: GPL-2.0

//! Configuration files: a line `KEY = VALUE` for each setting, empty lines, and lines that begin with
//! `#`.

use crate::view::Shown;

/// Calls `take` with each key and its value. What it says of one, and what is no such line, is returned
/// with the number of the line.
pub(crate) fn read(
    content: &[u8],
    mut take: impl FnMut(&str, &str) -> Result<(), String>,
) -> Result<(), String> {
    for (number, line) in content.split(|&b| b == b'\n').enumerate() {
        let bad = |what: &str| format!("line {}: {what}", number + 1);
        let line = std::str::from_utf8(line).map_err(|_| bad("this is not UTF-8"))?;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| bad("there is no \"KEY = VALUE\""))?;
        take(key.trim(), value.trim()).map_err(|what| bad(&what))?;
    }
    Ok(())
}

/// Says that there is no such key.
pub(crate) fn no_key(key: &str) -> String {
    format!("there is no key {}", Shown(key.as_bytes()))
}
