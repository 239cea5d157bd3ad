//! Trials of which one that fails does not hide the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// Runs trials one after the other, and fails at its own end with all that failed.
#[derive(Default)]
pub struct Trials {
    ran: usize,
    failed: Vec<String>,
}

impl Trials {
    /// Runs one; a panic is kept under that name.
    pub fn run(&mut self, name: &str, trial: impl FnOnce()) {
        self.ran += 1;
        let Err(panic) = catch_unwind(AssertUnwindSafe(trial)) else { return };
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        self.failed.push(format!("{name}\n{text}\n"));
    }
}

impl Drop for Trials {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert!(self.ran > 0, "nothing was tried");
            assert!(self.failed.is_empty(), "{} of {}:\n\n{}", self.failed.len(), self.ran, self.failed.join("\n"));
        }
    }
}
