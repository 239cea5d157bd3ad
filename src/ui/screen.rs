//! Shows the board where stderr leads: drawn over and over at the bottom of a terminal, else reported now and then. What
//! is said meanwhile stands above.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::board::Board;

/// A terminal is drawn that often.
const DRAWN_EVERY: Duration = Duration::from_millis(120);
/// Whether there is something to report is looked at that often.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// The size of a terminal that does not tell it, in letters.
const USUAL_SIZE: (usize, usize) = (80, 24);

/// Where stderr leads.
pub(super) struct Screen {
    shared: Arc<Shared>,
    started: Once,
}

struct Shared {
    /// none where nothing can be drawn
    canvas: Option<Mutex<Canvas>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    board: Board,
    over: bool,
}

impl Screen {
    /// Draws where stderr is a terminal that can be drawn on and that a person looks at.
    pub(super) fn new() -> Self {
        let canvas = can_draw().then(|| Mutex::new(Canvas::new()));
        let shared = Shared { canvas, state: Mutex::default(), changed: Condvar::new() };
        Self { shared: Arc::new(shared), started: Once::new() }
    }

    /// True when what runs is drawn.
    pub(super) fn is_drawn(&self) -> bool {
        self.shared.canvas.is_some()
    }

    /// Changes the board.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Board, Instant) -> T) -> T {
        // Most runs of most commands have nothing to show.
        self.started.call_once(|| {
            let shared = self.shared.clone();
            // Without a thread there is nothing to be seen of what runs, and nothing else is wrong.
            let _ = thread::Builder::new().name("progress".to_owned()).spawn(move || shared.keep_showing());
        });
        let mut state = lock(&self.shared.state);
        let was_empty = state.board.is_empty();
        let result = change(&mut state.board, Instant::now());
        if was_empty != state.board.is_empty() {
            self.shared.changed.notify_all();
        }
        result
    }

    /// Has `print` write whole lines, which then stand above what is drawn.
    pub(super) fn above(&self, print: impl FnOnce()) {
        self.shared.above(print);
    }

    /// Forgets all that runs.
    pub(super) fn clear(&self) {
        lock(&self.shared.state).board.clear();
        self.shared.show();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        lock(&self.shared.state).over = true;
        self.shared.changed.notify_all();
        self.clear();
    }
}

impl Shared {
    fn keep_showing(&self) {
        let pace = if self.canvas.is_some() { DRAWN_EVERY } else { LOOKED_EVERY };
        loop {
            let state = lock(&self.state);
            let idle = |state: &mut State| state.board.is_empty() && !state.over;
            let state = self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
            let busy = |state: &mut State| !state.board.is_empty() && !state.over;
            let waited = self.changed.wait_timeout_while(state, pace, busy);
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.over {
                return;
            }
            drop(state);
            self.show();
        }
    }

    /// Draws or reports what there is now.
    fn show(&self) {
        if let Some(canvas) = &self.canvas {
            self.draw(&mut lock(canvas));
            return;
        }
        let reports = lock(&self.state).board.reports(Instant::now());
        for report in &reports {
            say(report);
        }
    }

    fn draw(&self, canvas: &mut Canvas) {
        let (width, height) = size();
        // The board is let go before anything is written: a terminal may stand still, and what runs must not.
        let rows = lock(&self.state).board.rows(Instant::now(), width, height);
        canvas.draw(&rows);
    }

    fn above(&self, print: impl FnOnce()) {
        let Some(canvas) = &self.canvas else { return print() };
        let mut canvas = lock(canvas);
        // What is over must not be drawn again below the line.
        self.draw(&mut canvas);
        canvas.0.suspend(print);
    }
}

/// Writes a line for people to stderr.
pub(super) fn say(line: &str) {
    // Whoever reads may have gone away; there is nobody left to tell.
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// The lines at the bottom of a terminal.
struct Canvas(ProgressBar);

impl Canvas {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let canvas = ProgressBar::new_spinner().with_style(style);
        canvas.finish_and_clear();
        Self(canvas)
    }

    fn draw(&mut self, rows: &[String]) {
        if !rows.is_empty() {
            self.0.set_message(rows.join("\n"));
            if self.0.is_finished() {
                self.0.reset();
            }
        } else if !self.0.is_finished() {
            self.0.finish_and_clear();
        }
    }
}

/// True when stderr is a terminal, nothing says that it is a simple one, and nothing that no person looks at it.
fn can_draw() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let machine = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0");
    io::stderr().is_terminal() && !dumb && !machine
}

/// Columns and lines of the terminal.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    size.filter(|size| size.ws_col > 0 && size.ws_row > 0)
        .map_or(USUAL_SIZE, |size| (size.ws_col.into(), size.ws_row.into()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
