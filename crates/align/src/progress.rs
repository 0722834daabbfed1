//! Reports of progress, without knowing who displays them.

/// Where long work reports to. The command line shows bars; tests ignore it.
pub trait Progress {
    /// A stage begins; `total` units will follow, or any number of them where it is 0.
    fn begin(&mut self, stage: &str, total: usize);
    /// `count` more units are done.
    fn advance(&mut self, count: usize);
    /// The current state in a few words, such as the latest loss.
    fn note(&mut self, text: &str);
    /// The stage is over.
    fn end(&mut self);
    /// Whether the user asked to stop; work checks between steps, saves, and returns.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Displays nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _stage: &str, _total: usize) {}
    fn advance(&mut self, _count: usize) {}
    fn note(&mut self, _text: &str) {}
    fn end(&mut self) {}
}
