//! A signal that asks us to stop, or a failure that makes compilers useless, becomes the end of every child, then of the run.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::exec::{Children, GRACE};

use super::error::Error;

/// How often we look whether all children are gone.
const LOOK: Duration = Duration::from_millis(20);
/// How long those that were killed may take to go.
const KILLED: Duration = Duration::from_secs(1);

/// Runs `work` until it is done or a signal asks us to stop; then every child ends, too. A second signal shortens the wait.
///
/// # Errors
/// Those of `work`, and [`Error::Interrupted`].
pub async fn until_interrupted<T>(
    children: Children,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let listen = |kind| signal(kind).map_err(|_| Error::Thread);
    let signals = Signals {
        interrupt: listen(SignalKind::interrupt())?,
        terminate: listen(SignalKind::terminate())?,
        hangup: listen(SignalKind::hangup())?,
    };
    let (ended, mut end) = oneshot::channel();
    // On a task of its own: `work` blocks its thread while it asks tools, which is when nobody may be deaf.
    tokio::spawn(async move {
        stop(signals, &children).await;
        // Nobody waits any more when the work was done first.
        let _ = ended.send(());
    });
    tokio::select! {
        done = work => match done {
            // A child that was stopped ends the work before all others have ended.
            Err(Error::Interrupted) => {
                let _ = end.await;
                Err(Error::Interrupted)
            }
            done => done,
        },
        _ = &mut end => Err(Error::Interrupted),
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

async fn stop(mut signals: Signals, children: &Children) {
    signals.next().await;
    end(children, signals.next()).await;
}

/// Ends every child; none can be started afterwards. Those that do not go are killed in a moment, or once `hurry` is done.
pub async fn end(children: &Children, hurry: impl Future<Output = ()>) {
    children.stop();
    tokio::select! {
        () = all_gone(children, GRACE) => {}
        () = hurry => {}
    }
    if !children.is_empty() {
        children.kill();
        all_gone(children, KILLED).await;
    }
}

/// Waits until no child is left, or until `patience` is at its end.
async fn all_gone(children: &Children, patience: Duration) {
    let end = Instant::now() + patience;
    while !children.is_empty() && Instant::now() < end {
        tokio::time::sleep(LOOK).await;
    }
}
