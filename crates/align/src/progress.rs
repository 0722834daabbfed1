//! How a room tells how far it is, without knowing who watches.

/// A watcher of long work. The command line draws bars from it; tests ignore it.
pub trait Progress {
    /// A stage begins; `total` units will follow, or any number of them where it is 0.
    fn begin(&mut self, stage: &str, total: usize);
    /// `count` more units are done.
    fn advance(&mut self, count: usize);
    /// A word on the current state, such as the latest loss.
    fn note(&mut self, text: &str);
    /// The stage is over.
    fn end(&mut self);
    /// Whether the user asked to stop; rooms look between steps, save, and return.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _stage: &str, _total: usize) {}
    fn advance(&mut self, _count: usize) {}
    fn note(&mut self, _text: &str) {}
    fn end(&mut self) {}
}
