//! A signal that asks us to stop, or a failure that makes compilers useless, becomes the end of every child, then of the
//! run, and at last of a program that hangs.

use std::pin::Pin;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::exec::{Children, GRACE};

use super::error::Error;

/// How often we look whether all children are gone.
const LOOK: Duration = Duration::from_millis(20);
/// How long those that were killed may take to go.
const KILLED: Duration = Duration::from_secs(1);
/// How long what works on threads of its own may take to notice that nobody waits for it any more, and to tidy up.
const SETTLED: Duration = Duration::from_secs(1);
/// How long the program may take to end once its children have.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same after a second signal.
const HURRIED: Duration = Duration::from_millis(200);

/// Runs `work` until it is done or a signal asks us to stop; then every child ends, too, and nothing is waited for longer
/// than a moment. A second signal shortens all waits.
///
/// From then on signals are heard until the program ends. `give_up` has to end it: it is called when that has not
/// happened a few seconds after a signal, or soon after a second one, whatever hangs. What is then still being written
/// stays under the name of something unfinished.
///
/// # Errors
/// Those of `work`, and [`Error::Interrupted`].
pub fn carry_out<T>(
    children: Children,
    give_up: impl FnOnce() + Send + 'static,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut end = listen(children, give_up)?;
    // It waits for children and sockets, so it needs few threads.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|_| Error::Thread)?;
    let result = runtime.block_on(async {
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
    });
    // Not dropped: that would wait for a file system that hangs, and for a resolver that does not answer.
    runtime.shutdown_timeout(SETTLED);
    result
}

/// Runs `work` until it is done. It is told of a signal by the future that it gets, and is to end by itself then, within
/// a moment; a second signal ends it at once. `give_up` is as in [`carry_out`].
///
/// # Errors
/// When there are no threads to run it on.
pub fn until_signal<T, Work: Future<Output = T>>(
    children: &Children,
    give_up: impl FnOnce() + Send + 'static,
    work: impl FnOnce(End) -> Work,
) -> Result<T, Error> {
    let end = listen(children.clone(), give_up)?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|_| Error::Thread)?;
    let done = runtime.block_on(work(Box::pin(async {
        let _ = end.await;
    })));
    runtime.shutdown_timeout(SETTLED);
    Ok(done)
}

/// Comes when there was a signal.
pub type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Has a thread of its own hear signals, for whatever else there is may be busy or hang: what comes when one was heard and
/// every child has ended.
fn listen(children: Children, give_up: impl FnOnce() + Send + 'static) -> Result<oneshot::Receiver<()>, Error> {
    let (ended, end) = oneshot::channel();
    let (ready, hears) = mpsc::channel();
    let attend = move || {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let Ok(signals) = Signals::new() else { return };
            // Who started us waits for this.
            let _ = ready.send(());
            stop(signals, &children, ended).await;
        });
        give_up();
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(attend).map_err(|_| Error::Thread)?;
    hears.recv().map_err(|_| Error::Thread)?;
    Ok(end)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Waits for a signal, ends every child and says so; over when the program should have ended long since.
async fn stop(mut signals: Signals, children: &Children, ended: oneshot::Sender<()>) {
    signals.next().await;
    let hurried = end(children, signals.next()).await;
    // Nobody waits any more when the work was done first.
    let _ = ended.send(());
    if !hurried {
        tokio::select! {
            () = tokio::time::sleep(PATIENCE) => return,
            () = signals.next() => {}
        }
    }
    tokio::time::sleep(HURRIED).await;
}

/// Ends every child; none can be started afterwards. Those that do not go are killed in a moment, or once `hurry` is done;
/// true when it was that.
pub async fn end(children: &Children, hurry: impl Future<Output = ()>) -> bool {
    children.stop();
    let hurried = tokio::select! {
        () = all_gone(children, GRACE) => false,
        () = hurry => true,
    };
    if !children.is_empty() {
        children.kill();
        all_gone(children, KILLED).await;
    }
    hurried
}

/// Waits until no child is left, or until `patience` is at its end.
async fn all_gone(children: &Children, patience: Duration) {
    let end = Instant::now() + patience;
    while !children.is_empty() && Instant::now() < end {
        tokio::time::sleep(LOOK).await;
    }
}
