// SPDX-License-Identifier: GPL-2.0

//! The screen of `kmod-rs top`: what is on it, and what keys do to it.
//!
//! It is readable in 80 columns and 24 lines and without colours, which only stress what is there
//! in words as well. More columns are shown where there is room.

use super::Took;
use crate::model::activity::{sorted, Activity, Order, Sum};
use crate::model::counters::Counters;
use crate::model::latency::{self, Bucket};
use crate::model::record::{Outcome, Record};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use ratatui::Frame;
use std::time::Duration;

/// From this width on there are more columns.
const WIDE: u16 = 110;

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Names,
    Requesters,
    Outcomes,
    InFlight,
}

impl Tab {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Names, "Names"),
        (Self::Requesters, "Requesters"),
        (Self::Outcomes, "Outcomes"),
        (Self::InFlight, "In flight"),
    ];

    /// Returns the table that is `steps` further, going round.
    fn next(self, steps: usize) -> Self {
        let at = Self::ALL.iter().position(|(tab, _)| *tab == self);
        Self::ALL[(at.unwrap_or_default() + steps) % Self::ALL.len()].0
    }
}

/// The orders, as the keys `s` and `S` go through them, with the words for them.
const ORDERS: [(Order, &str); 7] = [
    (Order::Requests, "requests"),
    (Order::Denied, "denied"),
    (Order::Failed, "failed"),
    (Order::Queue, "queue"),
    (Order::Helper, "helper"),
    (Order::Last, "last"),
    (Order::Key, "name"),
];

/// What is measured once a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// When it was measured, since boot by CLOCK_MONOTONIC.
    pub(crate) time: Duration,
    pub(crate) counters: Counters,
    pub(crate) latency: Vec<Bucket>,
    pub(crate) in_flight: Vec<Record>,
    /// The number of slots.
    pub(crate) limit: Option<u64>,
    pub(crate) is_active: bool,
}

/// What the screen shows.
#[derive(Clone, Debug)]
pub(crate) struct Dashboard {
    /// Which machine this is.
    pub(crate) title: String,
    pub(crate) activity: Activity,
    pub(crate) sample: Option<Sample>,
    /// Requests in a second, as counted between the last two samples.
    pub(crate) rate: Option<f64>,
    /// How many events were lost.
    pub(crate) lost: u64,
    /// What to tell the user, until something else is to be told.
    pub(crate) notice: Option<String>,
    has_colours: bool,
    tab: Tab,
    order: Order,
    is_reversed: bool,
    /// How many rows of the table are above the dashboard.
    scrolled: usize,
    /// How many rows the table had room for.
    room: usize,
}

/// What a key asks for that the screen cannot do itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Nothing,
    Quit,
}

impl Dashboard {
    /// Returns an empty dashboard.
    pub(crate) fn new(title: String, has_colours: bool) -> Self {
        Self {
            title,
            activity: Activity::default(),
            sample: None,
            rate: None,
            lost: 0,
            notice: None,
            has_colours,
            tab: Tab::Names,
            order: Order::Requests,
            is_reversed: false,
            scrolled: 0,
            room: 1,
        }
    }

    /// Takes what was measured.
    pub(crate) fn measured(&mut self, sample: Sample) {
        self.rate = self.sample.as_ref().and_then(|before| {
            let requests = |sample: &Sample| sample.counters.number("requests");
            // Less than before: the module was loaded again.
            let more = requests(&sample)?.checked_sub(requests(before)?)?;
            let seconds = sample.time.checked_sub(before.time)?.as_secs_f64();
            // CAST: Exact enough for what is shown.
            (seconds > 0.0).then(|| more as f64 / seconds)
        });
        self.sample = Some(sample);
    }

    /// Does what a key stands for.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Asked {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return Asked::Quit,
            _ if is_control => (),
            KeyCode::Char('q') | KeyCode::Esc => return Asked::Quit,
            KeyCode::Tab | KeyCode::Right => self.turn_to(self.tab.next(1)),
            KeyCode::BackTab | KeyCode::Left => self.turn_to(self.tab.next(Tab::ALL.len() - 1)),
            KeyCode::Char('s') => self.sort_by(1),
            KeyCode::Char('S') => self.sort_by(ORDERS.len() - 1),
            KeyCode::Char('r') => self.is_reversed = !self.is_reversed,
            KeyCode::Char('c') => {
                self.activity = Activity::default();
                self.lost = 0;
                self.scrolled = 0;
            }
            KeyCode::Down | KeyCode::Char('j') => self.scrolled += 1,
            KeyCode::Up | KeyCode::Char('k') => self.scrolled = self.scrolled.saturating_sub(1),
            KeyCode::PageDown => self.scrolled += self.room,
            KeyCode::PageUp => self.scrolled = self.scrolled.saturating_sub(self.room),
            KeyCode::Home => self.scrolled = 0,
            KeyCode::End => self.scrolled = usize::MAX,
            _ => (),
        }
        Asked::Nothing
    }

    fn turn_to(&mut self, tab: Tab) {
        self.tab = tab;
        self.scrolled = 0;
    }

    fn sort_by(&mut self, steps: usize) {
        let at = ORDERS.iter().position(|(order, _)| *order == self.order);
        self.order = ORDERS[(at.unwrap_or_default() + steps) % ORDERS.len()].0;
        self.scrolled = 0;
    }

    /// Draws the dashboard.
    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>) {
        let [head, table, notice, help] = Layout::vertical([
            Constraint::Length(5),
            Constraint::Fill(1),
            Constraint::Length(1),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(self.head()), head);
        self.draw_table(frame, table);
        let text = self.notice.as_deref().unwrap_or_default();
        frame.render_widget(
            Paragraph::new(text).style(self.colour(Color::Yellow)),
            notice,
        );
        frame.render_widget(Paragraph::new(self.help()), help);
    }

    /// Returns a style with this colour, if there are to be colours.
    fn colour(&self, colour: Color) -> Style {
        if self.has_colours {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    fn head(&self) -> Vec<Line<'_>> {
        let mut lines = vec![Line::styled(
            self.title.as_str(),
            Style::new().add_modifier(Modifier::BOLD),
        )];
        match &self.sample {
            Some(sample) => lines.extend(self.measurements(sample)),
            None => lines.extend([Line::raw("reading ..."), Line::raw(""), Line::raw("")]),
        }
        let mut tabs = Vec::new();
        for (tab, word) in Tab::ALL {
            if tab == self.tab {
                let style = self.colour(Color::Cyan).add_modifier(Modifier::BOLD);
                tabs.push(Span::styled(format!("[{word}]"), style));
            } else {
                tabs.push(Span::raw(format!(" {word} ")));
            }
            tabs.push(Span::raw(" "));
        }
        lines.push(Line::from(tabs));
        lines
    }

    fn measurements(&self, sample: &Sample) -> [Line<'static>; 3] {
        let number = |key| sample.counters.number(key).unwrap_or_default();
        let rate = self.rate.map(|rate| format!(" ({rate:.0}/s)"));
        let denials = number("denied");
        let mut counts = vec![
            Span::raw(format!(
                "requests {}{}  loaded {}  nothing {}  failed {}  ",
                number("requests"),
                rate.unwrap_or_default(),
                number("loaded"),
                number("nothing"),
                number("exit") + number("signal") + number("errno") + number("refused"),
            )),
            Span::styled(format!("denied {denials}"), self.stressed(denials)),
        ];
        for key in ["loop", "timeout"] {
            counts.push(Span::raw("  "));
            counts.push(Span::styled(
                format!("{key}s {}", number(key)),
                self.stressed(number(key)),
            ));
        }
        if self.lost > 0 {
            counts.push(Span::raw(format!("  events lost {}", self.lost)));
        }

        let helpers = sample.in_flight.iter().filter(|it| it.helper.is_some());
        let slots = helpers.clone().filter(|it| it.waits && it.chain.is_empty());
        let waiting = sample.in_flight.iter().filter(|it| it.helper.is_none());
        let limit = sample.limit.map_or("?".into(), |limit| limit.to_string());
        let now = format!(
            "slots {} of {limit}  helpers {}  waiting {}  kept {}{}",
            slots.count(),
            helpers.count(),
            waiting.count(),
            number("kept_now"),
            if sample.is_active { "" } else { "  NOT ACTIVE" },
        );
        let quantile =
            |of: fn(&Bucket) -> u64, percent| match latency::below(&sample.latency, of, percent) {
                Some(Some(us)) => Took(Duration::from_micros(us)).to_string(),
                Some(None) => "long".into(),
                None => "-".into(),
            };
        let queue = |percent| quantile(|bucket| bucket.queue, percent);
        let helper = |percent| quantile(|bucket| bucket.helper, percent);
        let times = format!(
            "half below: queue {} helper {}   99% below: queue {} helper {}",
            queue(50),
            helper(50),
            queue(99),
            helper(99),
        );
        [Line::from(counts), Line::raw(now), Line::raw(times)]
    }

    /// Returns the style of a number that should be 0.
    fn stressed(&self, number: u64) -> Style {
        if number > 0 {
            self.colour(Color::Red).add_modifier(Modifier::BOLD)
        } else {
            Style::new()
        }
    }

    fn help(&self) -> Line<'static> {
        let by = ORDERS.iter().find(|(order, _)| *order == self.order);
        let sort = match (self.tab, by) {
            (Tab::InFlight, _) | (_, None) => String::new(),
            (_, Some((_, word))) => format!("s sort ({word})  r reverse  "),
        };
        Line::styled(
            format!("q quit  Tab table  {sort}arrows scroll  c clear"),
            Style::new().add_modifier(Modifier::REVERSED),
        )
    }

    fn draw_table(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let is_wide = area.width >= WIDE;
        let (columns, rows) = match self.tab {
            Tab::Names => self.names(),
            Tab::Requesters => self.requesters(is_wide),
            Tab::Outcomes => self.outcomes(),
            Tab::InFlight => self.in_flight(),
        };
        // One line is the header.
        self.room = usize::from(area.height.saturating_sub(1)).max(1);
        self.scrolled = self.scrolled.min(rows.len().saturating_sub(self.room));

        let fixed: usize = columns.iter().map(|column| column.width + 1).sum();
        let rest = usize::from(area.width).saturating_sub(fixed);
        let line_of = |cells: &[String]| {
            let cells = columns.iter().zip(cells);
            let cells: Vec<_> = cells.map(|(column, cell)| column.fit(cell, rest)).collect();
            cells.join(" ")
        };
        let titles: Vec<_> = columns.iter().map(|column| self.title_of(column)).collect();
        let header = Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
        let mut lines = vec![Line::styled(line_of(&titles), header)];
        let shown = rows.iter().skip(self.scrolled).take(self.room);
        lines.extend(shown.map(|cells| Line::raw(line_of(cells))));
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// Returns the title of a column; a mark says that the table is sorted by it.
    fn title_of(&self, column: &Column) -> String {
        let mark = match (column.order == Some(self.order), self.is_reversed) {
            (false, _) => "",
            (true, false) => "*",
            (true, true) => "^",
        };
        format!("{}{mark}", column.title)
    }

    /// Returns the columns that all tables of sums have, with the times if there is room.
    fn sums(has_times: bool) -> impl Iterator<Item = Column> {
        [
            Column::right("REQS", 7, Some(Order::Requests)),
            Column::right("DENIED", 7, Some(Order::Denied)),
            Column::right("FAILED", 7, Some(Order::Failed)),
            Column::right("QUEUE", 7, Some(Order::Queue)),
            Column::right("HELPER", 7, Some(Order::Helper)),
            Column::right("AGO", 5, Some(Order::Last)),
        ]
        .into_iter()
        .filter(move |column| {
            has_times || !matches!(column.order, Some(Order::Queue | Order::Helper))
        })
    }

    /// Returns the cells in the columns of [`Self::sums`].
    fn cells_of(&self, sum: &Sum, has_times: bool) -> Vec<String> {
        let mut cells = vec![
            sum.requests.to_string(),
            sum.denied.to_string(),
            sum.failed.to_string(),
        ];
        if has_times {
            cells.extend([sum.queue, sum.helper].map(took));
        }
        let now = self.sample.as_ref().map_or(sum.last, |sample| sample.time);
        let ago = now.saturating_sub(sum.last);
        cells.push(in_seconds(ago));
        cells
    }

    fn names(&self) -> (Vec<Column>, Vec<Vec<String>>) {
        let mut columns = vec![Column::left("NAME", 0, Some(Order::Key))];
        columns.extend(Self::sums(true));
        columns.push(Column::left("OUTCOME", 8, None));
        let rows = sorted(&self.activity.names, self.order, self.is_reversed);
        let rows = rows.into_iter().map(|(name, sum)| {
            let mut cells = vec![name.to_string()];
            cells.extend(self.cells_of(sum, true));
            cells.push(sum.outcome.as_ref().map_or("-".into(), Outcome::to_string));
            cells
        });
        (columns, rows.collect())
    }

    fn requesters(&self, is_wide: bool) -> (Vec<Column>, Vec<Vec<String>>) {
        let mut columns = vec![
            Column::right("UID", 6, Some(Order::Key)),
            Column::left("COMM", 15, None),
            Column {
                shows_end: true,
                ..Column::left("CGROUP", 0, None)
            },
        ];
        columns.extend(Self::sums(is_wide));
        let rows = sorted(&self.activity.requesters, self.order, self.is_reversed);
        let rows = rows.into_iter().map(|(requester, sum)| {
            let cgroup = requester.cgroup.as_ref();
            let mut cells = vec![
                requester.uid.to_string(),
                requester.comm.to_string(),
                cgroup.map_or("-".into(), ToString::to_string),
            ];
            cells.extend(self.cells_of(sum, is_wide));
            cells
        });
        (columns, rows.collect())
    }

    fn outcomes(&self) -> (Vec<Column>, Vec<Vec<String>>) {
        let mut columns = vec![Column::left("OUTCOME", 0, Some(Order::Key))];
        columns.extend(Self::sums(true));
        let rows = sorted(&self.activity.outcomes, self.order, self.is_reversed);
        let rows = rows.into_iter().map(|(outcome, sum)| {
            let mut cells = vec![outcome.to_string()];
            cells.extend(self.cells_of(sum, true));
            cells
        });
        (columns, rows.collect())
    }

    fn in_flight(&self) -> (Vec<Column>, Vec<Vec<String>>) {
        let columns = vec![
            Column::left("NAME", 0, None),
            Column::right("AGE", 7, None),
            Column::right("QUEUE", 7, None),
            Column::right("HELPER", 8, None),
            Column::right("PID", 8, None),
            Column::right("UID", 6, None),
            Column::left("COMM", 15, None),
        ];
        let Some(sample) = &self.sample else {
            return (columns, Vec::new());
        };
        let row = |record: &Record| {
            vec![
                record.name.to_string(),
                took(Some(sample.time.saturating_sub(record.time))),
                took(record.queue),
                record.helper.map_or("-".into(), |pid| pid.to_string()),
                record.pid.to_string(),
                record.uid.to_string(),
                record.comm.to_string(),
            ]
        };
        (columns, sample.in_flight.iter().map(row).collect())
    }
}

fn took(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".into(), |time| Took(time).to_string())
}

/// Returns how long ago something was, in at most five characters.
fn in_seconds(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..600 => format!("{seconds}s"),
        seconds @ 600..36_000 => format!("{}m", seconds / 60),
        seconds @ 36_000..360_000 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// A column of a table.
struct Column {
    title: &'static str,
    /// 0: as wide as there is room.
    width: usize,
    is_right: bool,
    /// Whether the end is shown of what is too long, rather than the beginning.
    shows_end: bool,
    /// The order in which this column is sorted.
    order: Option<Order>,
}

impl Column {
    fn left(title: &'static str, width: usize, order: Option<Order>) -> Self {
        Self {
            title,
            width,
            is_right: false,
            shows_end: false,
            order,
        }
    }

    fn right(title: &'static str, width: usize, order: Option<Order>) -> Self {
        Self {
            is_right: true,
            ..Self::left(title, width, order)
        }
    }

    /// Returns the cell as wide as the column is; two dots stand for what is left out. `rest` is
    /// the room for the column that takes what the others leave.
    fn fit(&self, cell: &str, rest: usize) -> String {
        let width = if self.width == 0 { rest } else { self.width };
        // All cells are ASCII: each byte is a character, and one column wide.
        let kept = width.saturating_sub(2);
        if cell.len() <= width {
            if self.is_right {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        } else if self.shows_end {
            format!("..{}", &cell[cell.len() - kept..])
        } else {
            format!("{}..", &cell[..kept])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::activity::tests::record;
    use proptest::prelude::*;
    use ratatui::backend::TestBackend;
    use ratatui::Terminal;

    /// Returns what is on the dashboard, line by line.
    fn shown(dashboard: &mut Dashboard, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| dashboard.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let symbols: Vec<_> = buffer.content().iter().map(|cell| cell.symbol()).collect();
        symbols
            .chunks(width.into())
            .map(|line| line.concat().trim_end().to_owned())
            .collect()
    }

    /// Returns whether any cell of the screen has a colour.
    fn has_colours(dashboard: &mut Dashboard) -> bool {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| dashboard.draw(frame)).unwrap();
        let cells = terminal.backend().buffer().content();
        cells
            .iter()
            .any(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset))
    }

    fn dashboard() -> Dashboard {
        let mut dashboard = Dashboard::new("kmod-rs top - host".into(), false);
        for (seq, name, end) in [
            (1, "fs-xfs", "outcome=loaded result=0"),
            (2, "net-pf-38", "outcome=denied result=256"),
            (3, "net-pf-38", "outcome=denied result=256"),
            (4, "nosuch", "outcome=exit result=256"),
        ] {
            dashboard.activity.add_record(&record(seq, name, 1000, end));
        }
        let sample = |seconds: u64, requests: u64| Sample {
            time: Duration::from_secs(seconds),
            counters: Counters::parse(
                format!("loaded 1\ndenied 2\nexit 1\nrequests {requests}\nkept_now 0\n").as_bytes(),
            ),
            latency: latency::parse(
                b"us_below=1024 queue=4 helper=1\nus_below=2048 queue=0 helper=1\n",
            ),
            in_flight: vec![record(9, "fs-zfs", 0, "outcome=- result=-")],
            limit: Some(50),
            is_active: true,
        };
        dashboard.measured(sample(100, 4));
        dashboard.measured(sample(102, 14));
        dashboard
    }

    fn press(dashboard: &mut Dashboard, keys: &str) -> Vec<Asked> {
        keys.chars()
            .map(|key| dashboard.key(KeyEvent::from(KeyCode::Char(key))))
            .collect()
    }

    #[test]
    fn names_in_80_columns() {
        let lines = shown(&mut dashboard(), 80, 24);
        assert_eq!(
            lines[..9],
            [
                "kmod-rs top - host",
                "requests 14 (5/s)  loaded 1  nothing 0  failed 1  denied 2  loops 0  timeouts 0",
                "slots 1 of 50  helpers 1  waiting 0  kept 0",
                "half below: queue 1.02ms helper 1.02ms   99% below: queue 1.02ms helper 2.05ms",
                "[Names]  Requesters   Outcomes   In flight",
                "NAME                       REQS*  DENIED  FAILED   QUEUE  HELPER   AGO OUTCOME",
                "net-pf-38                      2       2       0     5us  3.00ms   99s denied",
                "fs-xfs                         1       0       0     5us  1.00ms  101s loaded",
                "nosuch                         1       0       1     5us  4.00ms   98s exit",
            ]
        );
        assert_eq!(
            lines[23],
            "q quit  Tab table  s sort (requests)  r reverse  arrows scroll  c clear"
        );
    }

    #[test]
    fn the_other_tables() {
        let mut dashboard = dashboard();
        dashboard.key(KeyCode::Tab.into());
        assert_eq!(
            shown(&mut dashboard, 80, 24)[4..7],
            [
                " Names  [Requesters]  Outcomes   In flight",
                "   UID COMM            CGROUP                       REQS*  DENIED  FAILED   AGO",
                "  1000 mount           /system.slice/x.service          4       2       1   98s",
            ]
        );
        assert!(shown(&mut dashboard, 60, 24)[6].contains(" ..vice "));
        assert!(shown(&mut dashboard, 120, 24)[5].contains("QUEUE  HELPER"));
        dashboard.key(KeyCode::Tab.into());
        assert!(shown(&mut dashboard, 80, 24)[6].starts_with("denied  "));
        dashboard.key(KeyCode::Tab.into());
        assert!(shown(&mut dashboard, 80, 24)[6].starts_with("fs-zfs  "));
        dashboard.key(KeyCode::Tab.into());
        assert_eq!(dashboard.tab, Tab::Names);
        dashboard.key(KeyCode::BackTab.into());
        assert_eq!(dashboard.tab, Tab::InFlight);
    }

    #[test]
    fn sorted_by_each_column() {
        let mut dashboard = dashboard();
        let mut first = |keys| {
            press(&mut dashboard, keys);
            let lines = shown(&mut dashboard, 80, 24);
            format!(
                "{} {}",
                dashboard.title_of(&Column::left("", 0, Some(dashboard.order))),
                lines[6].split(' ').next().unwrap()
            )
        };
        assert_eq!(first("s"), "* net-pf-38"); // Denied.
        assert_eq!(first("s"), "* nosuch"); // Failed.
        assert_eq!(first("ss"), "* nosuch"); // Helper.
        assert_eq!(first("r"), "^ fs-xfs");
        assert_eq!(first("sr"), "* nosuch"); // Last.
        assert_eq!(first("s"), "* fs-xfs"); // Name.
        assert_eq!(first("S"), "* nosuch");
    }

    #[test]
    fn how_long_ago() {
        for (millis, expected) in [
            (2_999, "2s"),
            (599_000, "599s"),
            (600_000, "10m"),
            (36_000_000, "10h"),
            (864_000_000, "10d"),
        ] {
            assert_eq!(in_seconds(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn keys_that_leave() {
        let mut dashboard = dashboard();
        assert_eq!(press(&mut dashboard, "q")[0], Asked::Quit);
        assert_eq!(dashboard.key(KeyCode::Esc.into()), Asked::Quit);
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(dashboard.key(control_c), Asked::Quit);
        assert_eq!(dashboard.activity.all.requests, 4, "Ctrl-C has cleared");
        assert_eq!(press(&mut dashboard, "c")[0], Asked::Nothing);
        assert_eq!(dashboard.activity.all.requests, 0);
    }

    #[test]
    fn scrolling_stops_at_both_ends() {
        let mut dashboard = dashboard();
        for name in 'a'..='z' {
            dashboard.activity.add_record(&record(
                5,
                &name.to_string(),
                0,
                "outcome=exit result=256",
            ));
        }
        press(&mut dashboard, "S");
        let mut first = |key: KeyCode| {
            dashboard.key(key.into());
            shown(&mut dashboard, 80, 20)[6]
                .split(' ')
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(first(KeyCode::Up), "a");
        assert_eq!(first(KeyCode::Down), "b");
        assert_eq!(first(KeyCode::PageDown), "m");
        assert_eq!(first(KeyCode::End), "o");
        assert_eq!(first(KeyCode::Down), "o");
        assert_eq!(first(KeyCode::Up), "nosuch");
        assert_eq!(first(KeyCode::Home), "a");
    }

    #[test]
    fn colours_only_if_wanted() {
        let mut dashboard = dashboard();
        assert!(!has_colours(&mut dashboard));
        dashboard.has_colours = true;
        assert!(has_colours(&mut dashboard));
    }

    #[test]
    fn before_anything_is_known() {
        let mut dashboard = Dashboard::new("kmod-rs top".into(), false);
        assert_eq!(shown(&mut dashboard, 80, 24)[1], "reading ...");
    }

    #[test]
    fn what_stands_in_the_way() {
        let mut dashboard = dashboard();
        dashboard.notice = Some("kmod_rs is unloaded".into());
        dashboard.lost = 3;
        dashboard.sample.as_mut().unwrap().is_active = false;
        let lines = shown(&mut dashboard, 120, 24);
        assert!(lines[1].ends_with("events lost 3"), "{lines:?}");
        assert!(lines[2].ends_with("NOT ACTIVE"), "{lines:?}");
        assert_eq!(lines[22], "kmod_rs is unloaded");
    }

    proptest! {
        #[test]
        fn any_size_and_any_keys(
            width in 0..200u16,
            height in 0..50u16,
            keys in "[sSrckj]{0,20}",
            tabs in 0..4usize,
            name in "[ -!#-~]{0,200}",
        ) {
            let mut dashboard = dashboard();
            dashboard.activity.add_record(&record(7, &name, 7, "outcome=newer result=0"));
            press(&mut dashboard, &keys);
            for _ in 0..tabs {
                dashboard.key(KeyCode::Tab.into());
            }
            dashboard.key(KeyCode::End.into());
            if width > 0 {
                shown(&mut dashboard, width, height);
            }
        }
    }
}
