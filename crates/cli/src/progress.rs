//! How far a command is: bars on a terminal, plain lines elsewhere, nothing with `--quiet`. Always on standard
//! error, so that standard output holds data alone.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use align::progress::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::interrupt;

/// Without a terminal, lines come no more often than this, beside the first and the last of a stage.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows progress.
pub enum ConsoleProgress {
    /// Shows nothing.
    Quiet,
    /// Shows a bar.
    Bar {
        /// The bar of the stage now running.
        bar: Option<ProgressBar>,
        /// Whether bars may be colored.
        color: bool,
    },
    /// Prints lines.
    Lines(Option<Stage>),
}

impl ConsoleProgress {
    /// Quiet if requested, bars on a terminal, lines otherwise.
    pub fn new(quiet: bool, color: bool) -> Self {
        if quiet {
            Self::Quiet
        } else if std::io::stderr().is_terminal() {
            Self::Bar { bar: None, color }
        } else {
            Self::Lines(None)
        }
    }
}

impl Progress for ConsoleProgress {
    fn begin(&mut self, stage: &str, total: usize) {
        match self {
            Self::Quiet => {}
            Self::Bar { bar, color } => *bar = Some(new_bar(stage, total, *color)),
            Self::Lines(current) => {
                let stage = Stage::new(stage, total);
                if total > 0 {
                    eprintln!("{}", stage.line(Duration::ZERO));
                }
                *current = Some(stage);
            }
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bar { bar: Some(bar), .. } => bar.inc(count as u64),
            Self::Lines(Some(stage)) => {
                stage.done += count;
                if stage.last_line.elapsed() >= LINE_INTERVAL {
                    stage.last_line = Instant::now();
                    eprintln!("{}", stage.line(stage.start.elapsed()));
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, text: &str) {
        match self {
            Self::Bar { bar: Some(bar), .. } => bar.set_message(text.to_owned()),
            Self::Lines(Some(stage)) => text.clone_into(&mut stage.note),
            _ => {}
        }
    }

    fn end(&mut self) {
        match self {
            Self::Bar { bar, .. } => {
                if let Some(bar) = bar.take() {
                    bar.abandon();
                }
            }
            Self::Lines(stage) => {
                if let Some(stage) = stage.take() {
                    eprintln!("{}", stage.last(stage.start.elapsed()));
                }
            }
            Self::Quiet => {}
        }
    }

    fn interrupted(&self) -> bool {
        interrupt::requested()
    }
}

fn new_bar(stage: &str, total: usize, color: bool) -> ProgressBar {
    let style = if color { "{bar:24.cyan/dim}" } else { "{bar:24}" };
    let (bar, template) = if total == 0 {
        let template = "{prefix:<22} {spinner} {pos} {per_sec}  {msg}".to_owned();
        (ProgressBar::no_length(), template)
    } else {
        let template = format!("{{prefix:<22}} {style} {{pos}}/{{len}} {{per_sec}}, {{eta}} left  {{msg}}");
        (ProgressBar::new(total as u64), template)
    };
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = bar.with_style(style).with_prefix(stage.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A stage as lines show it.
pub struct Stage {
    name: String,
    total: usize,
    done: usize,
    note: String,
    start: Instant,
    last_line: Instant,
}

impl Stage {
    fn new(name: &str, total: usize) -> Self {
        let now = Instant::now();
        Self { name: name.to_owned(), total, done: 0, note: String::new(), start: now, last_line: now }
    }

    fn line(&self, elapsed: Duration) -> String {
        let mut line = self.count();
        if self.done > 0 && elapsed > Duration::ZERO {
            let rate = self.done as f64 / elapsed.as_secs_f64();
            line.push_str(&format!(", {}/s", rate_text(rate)));
            if self.total > 0 {
                let left = self.total.saturating_sub(self.done) as f64 / rate;
                line.push_str(&format!(", {} left", duration_text(left)));
            }
        }
        self.with_note(line)
    }

    fn last(&self, elapsed: Duration) -> String {
        let took = duration_text(elapsed.as_secs_f64());
        self.with_note(format!("{} in {took}", self.count()))
    }

    /// How much is done, of how much where that is known.
    fn count(&self) -> String {
        match self.total {
            0 => format!("{}: {}", self.name, self.done),
            total => format!("{}: {}/{total}", self.name, self.done),
        }
    }

    fn with_note(&self, mut line: String) -> String {
        if !self.note.is_empty() {
            line.push_str(", ");
            line.push_str(&self.note);
        }
        line
    }
}

fn rate_text(rate: f64) -> String {
    if rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.2}") }
}

/// A duration in the unit a person would use, such as `8.4 s`, `3 min 05 s` or `2 h 10 min`.
pub fn duration_text(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..=59 if seconds < 10.0 => format!("{seconds:.1} s"),
        0..=59 => format!("{whole} s"),
        60..=3599 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_rate_time_left_and_note() {
        let mut stage = Stage::new("sft", 100);
        assert_eq!(stage.line(Duration::ZERO), "sft: 0/100");
        stage.done = 40;
        stage.note = "loss 0.41".into();
        assert_eq!(stage.line(Duration::from_secs(10)), "sft: 40/100, 4.00/s, 15 s left, loss 0.41");
        stage.done = 100;
        assert_eq!(stage.last(Duration::from_secs(185)), "sft: 100/100 in 3 min 05 s, loss 0.41");
    }

    #[test]
    fn of_a_total_that_nobody_knows_nothing_is_said() {
        let mut stage = Stage::new("checking", 0);
        stage.done = 400;
        assert_eq!(stage.line(Duration::from_secs(10)), "checking: 400, 40/s");
        assert_eq!(stage.last(Duration::from_secs(10)), "checking: 400 in 10 s");
    }

    #[test]
    fn durations_read_well() {
        for (seconds, expected) in
            [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (60.0, "1 min 00 s"), (7800.0, "2 h 10 min")]
        {
            assert_eq!(duration_text(seconds), expected);
        }
    }
}
