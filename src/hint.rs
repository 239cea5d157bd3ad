//! What an error advises: lines that a person can paste, kept apart from what went wrong.

/// An error that knows ways out of itself.
pub trait Hint {
    /// Advice in the order in which it should be tried, each a single line without the `hint:` prefix.
    /// Empty when there is nothing useful to say.
    fn hints(&self) -> Vec<String>;
}

impl<T: Hint> Hint for Box<T> {
    fn hints(&self) -> Vec<String> {
        self.as_ref().hints()
    }
}
