//! What works on a thread of its own learns whether anybody still waits for it: what it reads and writes fails once
//! nobody does, and so it ends and tidies up.

use std::io::{self, Read, Write};
use std::sync::{Arc, Weak};

/// Held by whoever waits for the work, as long as that is.
#[derive(Debug, Default)]
pub struct Waiter(Arc<()>);

impl Waiter {
    /// What the work gets.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted(Arc::downgrade(&self.0))
    }
}

/// Held by the work.
#[derive(Debug, Clone)]
pub struct Wanted(Weak<()>);

impl Wanted {
    /// Whether to go on.
    ///
    /// # Errors
    /// When nobody waits any more. Nobody will read that error either.
    pub fn check(&self) -> io::Result<()> {
        if self.0.strong_count() == 0 { Err(io::Error::other("nobody waits for it any more")) } else { Ok(()) }
    }

    /// Reads from and writes to `inner` as long as somebody waits.
    pub fn only<T>(&self, inner: T) -> WhileWanted<'_, T> {
        WhileWanted { wanted: self, inner }
    }
}

/// A reader or writer that fails once nobody waits for what is done with it.
#[derive(Debug)]
pub struct WhileWanted<'wanted, T> {
    wanted: &'wanted Wanted,
    inner: T,
}

impl<T: Read> Read for WhileWanted<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wanted.check()?;
        self.inner.read(buffer)
    }
}

impl<T: Write> Write for WhileWanted<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wanted.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_waits_for_ends() {
        let waiter = Waiter::default();
        let wanted = waiter.wanted();
        let mut written = Vec::new();
        let mut out = wanted.only(&mut written);
        out.write_all(b"one").unwrap();
        let mut bytes = [0; 2];
        let mut reader = wanted.only(&b"three"[..]);
        reader.read_exact(&mut bytes).unwrap();
        drop(waiter);
        out.write_all(b"two").unwrap_err();
        reader.read_exact(&mut bytes).unwrap_err();
        wanted.check().unwrap_err();
        assert_eq!((written.as_slice(), &bytes), (&b"one"[..], b"th"));
    }
}
