//! A line on the terminal for what takes longer than a second.

use indicatif::{ProgressBar, ProgressDrawTarget};
use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How long a task may take before people are told what goes on.
const PATIENCE: Duration = Duration::from_secs(1);

/// One line on standard error that says what goes on; only where standard error
/// is a terminal, and only after a second. It goes away when it is dropped.
#[derive(Debug, Clone)]
pub struct ProgressLine {
    bar: Arc<Mutex<Bar>>,
}

#[derive(Debug)]
struct Bar {
    shown: Option<ProgressBar>,
    message: String,
    waiting: Option<tokio::task::JoinHandle<()>>,
}

impl ProgressLine {
    /// Starts to count the second. To be called on the runtime.
    pub fn start(message: impl Into<String>) -> Self {
        let bar = Arc::new(Mutex::new(Bar {
            shown: None,
            message: message.into(),
            waiting: None,
        }));
        if std::io::stderr().is_terminal() {
            let later = Arc::downgrade(&bar);
            let task = tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                if let Some(bar) = later.upgrade() {
                    bar.lock().unwrap_or_else(PoisonError::into_inner).show();
                }
            });
            bar.lock().unwrap_or_else(PoisonError::into_inner).waiting = Some(task);
        }
        Self { bar }
    }

    /// Says what goes on now.
    pub fn tell(&self, message: impl Into<String>) {
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        bar.message = message.into();
        if let Some(shown) = &bar.shown {
            shown.set_message(bar.message.clone());
        }
    }

    /// Takes the line away for good.
    pub fn finish(&self) {
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        bar.hide();
    }
}

impl Bar {
    fn show(&mut self) {
        let shown = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        shown.set_style(indicatif::ProgressStyle::default_spinner());
        shown.set_message(self.message.clone());
        shown.enable_steady_tick(Duration::from_millis(120));
        self.shown = Some(shown);
    }

    fn hide(&mut self) {
        if let Some(task) = self.waiting.take() {
            task.abort();
        }
        if let Some(shown) = self.shown.take() {
            shown.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.hide();
    }
}
