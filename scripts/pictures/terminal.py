#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draw a terminal as an SVG. Its content comes from standard input, with escape sequences, as
"tmux capture-pane -e -p" prints it.

usage: terminal.py FILE.svg <CONTENT
"""

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 100

content = Text.from_ansi(sys.stdin.read().rstrip("\n"))
console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
console.print(content, no_wrap=True, crop=True)
picture = console.export_svg(title="kmod-rs top")
# Otherwise librsvg drops the blanks at the beginning of a text.
Path(sys.argv[1]).write_text(picture.replace("<text ", '<text xml:space="preserve" '))
