//! When calls may start: so many a minute, so many tokens a minute, not before an endpoint that asked for a pause wants
//! more, and then a few at a time.
//!
//! Calls stand in one line, first come, first served; only the first looks at the clock. So a pause delays them all, and
//! its end starts no burst: as many calls as succeeded before, and one more for each that succeeds again.

use std::cell::RefCell;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep, sleep_until};

use crate::settings::RoleSettings;

/// How late a call may start and the next still keep to its time: timers are no more exact.
const LATENESS: Duration = Duration::from_millis(2);
/// The first wait for an endpoint that answers nobody; doubled each time.
const FIRST_PROBE: Duration = Duration::from_millis(250);
/// The longest such wait.
const LAST_PROBE: Duration = Duration::from_secs(5);

/// The pace of one endpoint's calls.
pub(crate) struct Pace {
    // Seconds that a request and a token take up; zero without a limit.
    per_request: f64,
    per_token: f64,
    concurrency: usize,
    line: Mutex<()>,
    /// Something changed that the first in line may be waiting for.
    changed: Notify,
    /// Nothing further is to start.
    ended: Notify,
    state: RefCell<State>,
}

struct State {
    next_request: Instant,
    next_tokens: Instant,
    paused_until: Instant,
    /// How many tries may be under way at once, and how many are.
    window: usize,
    under_way: usize,
    narrowed_at: Instant,
    /// When the endpoint failed first since it answered last, and how often it was probed since.
    failing_since: Option<Instant>,
    probes: u32,
    answered_at: Instant,
    /// Whether any call has been answered, now or earlier.
    has_answered: bool,
    /// The calls that have not ended, and those of them that only wait for the endpoint to recover.
    calls: usize,
    parked: usize,
    /// Whether no further call is to begin, since no request is left.
    is_exhausted: bool,
    is_ending: bool,
}

/// The permit for one try; given back when dropped.
pub(crate) struct Permit<'a> {
    pace: &'a Pace,
    began: Instant,
}

/// A call that has not ended, and whether it only waits for the endpoint to recover; another may then begin beside it.
pub(crate) struct InProgress<'a> {
    pace: &'a Pace,
    /// When its first try began.
    pub began: Instant,
    pub is_parked: bool,
}

/// An endpoint that answers nobody: for how long, and how long it is left alone before the next call looks again.
pub(crate) struct Outage {
    pub lasted: Duration,
    pub pause: Duration,
}

/// Whether a call is left over where others were answered and no further one can tell whether they still are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftOver {
    No,
    /// With others that began before the last answer too.
    WithOthers,
    Alone,
}

/// What the first in line has to wait for.
enum Wait {
    Nothing,
    Until(Instant),
    Change,
}

impl Pace {
    /// The pace that settings allow. `has_answered` says whether any call was answered in an earlier run.
    pub fn new(settings: &RoleSettings, has_answered: bool) -> Self {
        let now = Instant::now();
        Self {
            per_request: seconds_each(settings.requests_per_minute),
            per_token: seconds_each(settings.tokens_per_minute),
            concurrency: settings.concurrency,
            line: Mutex::default(),
            changed: Notify::new(),
            ended: Notify::new(),
            state: RefCell::new(State {
                next_request: now,
                next_tokens: now,
                paused_until: now,
                window: settings.concurrency,
                under_way: 0,
                narrowed_at: now,
                failing_since: None,
                probes: 0,
                answered_at: now,
                has_answered,
                calls: 0,
                parked: 0,
                is_exhausted: false,
                is_ending: false,
            }),
        }
    }

    /// Begins a batch of calls: how long the endpoint failed or was silent before counts no more.
    pub fn begin(&self) {
        let mut state = self.state.borrow_mut();
        state.is_ending = false;
        state.is_exhausted = false;
        state.failing_since = None;
        state.answered_at = Instant::now();
    }

    /// Starts no further try.
    pub fn end(&self) {
        self.state.borrow_mut().is_ending = true;
        self.changed.notify_one();
        self.ended.notify_waiters();
    }

    /// Whether nothing further is to start.
    pub fn is_ending(&self) -> bool {
        self.state.borrow().is_ending
    }

    /// Waits until a try of about so many tokens may start; none where nothing further is to start.
    pub async fn admit(&self, tokens: f64) -> Option<Permit<'_>> {
        let _first_in_line = self.line.lock().await;
        while !self.is_ending() {
            match self.wait() {
                Wait::Nothing => return Some(self.start(tokens)),
                Wait::Change => self.changed.notified().await,
                Wait::Until(time) => tokio::select! {
                    () = sleep_until(time) => (),
                    () = self.changed.notified() => (),
                },
            }
        }
        None
    }

    fn wait(&self) -> Wait {
        let state = self.state.borrow();
        let time = state.paused_until.max(state.next_request).max(state.next_tokens);
        if time > Instant::now() {
            Wait::Until(time)
        } else if state.under_way >= state.window {
            Wait::Change
        } else {
            Wait::Nothing
        }
    }

    fn start(&self, tokens: f64) -> Permit<'_> {
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        let in_time = now.checked_sub(LATENESS).unwrap_or(now);
        state.next_request = state.next_request.max(in_time) + Duration::from_secs_f64(self.per_request);
        state.next_tokens = state.next_tokens.max(in_time) + Duration::from_secs_f64(self.per_token * tokens);
        state.under_way += 1;
        Permit { pace: self, began: now }
    }

    /// Waits before another try, but not when nothing further is to start.
    pub async fn rest(&self, time: Duration) {
        let ended = self.ended.notified();
        if self.is_ending() {
            return;
        }
        tokio::select! {
            () = sleep(time) => (),
            () = ended => (),
        }
    }

    /// Takes note of how many tokens a try took that was expected to take others.
    pub fn correct(&self, expected: f64, taken: f64) {
        let more = Duration::from_secs_f64(self.per_token * (taken - expected).max(0.0));
        let less = Duration::from_secs_f64(self.per_token * (expected - taken).max(0.0));
        let mut state = self.state.borrow_mut();
        let next = state.next_tokens + more;
        state.next_tokens = next.checked_sub(less).unwrap_or(next);
        self.changed.notify_one();
    }

    /// Takes note of a try that was answered.
    pub fn answered(&self) {
        let mut state = self.state.borrow_mut();
        state.answered_at = Instant::now();
        state.has_answered = true;
        state.recover();
        state.window = (state.window + 1).min(self.concurrency);
    }

    /// Whether any try has been answered since then.
    pub fn has_answered_since(&self, time: Instant) -> bool {
        let state = self.state.borrow();
        state.has_answered && state.answered_at >= time
    }

    /// How long no try has been answered.
    pub fn silence(&self) -> Duration {
        self.state.borrow().answered_at.elapsed()
    }

    /// Begins a call.
    pub fn enter(&self) -> InProgress<'_> {
        self.state.borrow_mut().calls += 1;
        InProgress { pace: self, began: Instant::now(), is_parked: false }
    }

    /// How many calls only wait for the endpoint to recover.
    pub fn parked(&self) -> usize {
        self.state.borrow().parked
    }

    /// Whether no other try is under way, which may yet show that the endpoint answers.
    pub fn is_alone_under_way(&self) -> bool {
        self.state.borrow().under_way <= 1
    }

    /// Takes note that no request is left that a call could begin for.
    pub fn exhaust(&self) {
        self.state.borrow_mut().is_exhausted = true;
    }

    /// Whether a call that began at this time is left over.
    pub fn left_over(&self, began: Instant) -> LeftOver {
        let state = self.state.borrow();
        match state.calls {
            _ if !state.has_answered || !state.is_exhausted => LeftOver::No,
            0 | 1 => LeftOver::Alone,
            _ if state.answered_at >= began => LeftOver::WithOthers,
            _ => LeftOver::No,
        }
    }

    /// Takes note that the endpoint takes no further calls, for so long where it says: fewer are made at once from then
    /// on.
    pub fn throttle(&self, permit: &Permit, pause: Duration) {
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        state.recover();
        state.paused_until = state.paused_until.max(now + pause);
        // Calls that left together get the same response; it counts once.
        if permit.began >= state.narrowed_at {
            state.window = (state.under_way / 2).max(1);
            state.narrowed_at = now;
        }
    }

    /// Takes note that the endpoint failed.
    pub fn failed(&self) {
        self.state.borrow_mut().failing_since.get_or_insert_with(Instant::now);
    }

    /// Takes note that the endpoint answers nobody: one call after the other looks again, ever more rarely.
    pub fn probe(&self) -> Outage {
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        state.window = 1;
        if state.paused_until <= now {
            state.paused_until = now + FIRST_PROBE.saturating_mul(1 << state.probes.min(16)).min(LAST_PROBE);
            state.probes += 1;
        }
        let since = *state.failing_since.get_or_insert(now);
        Outage { lasted: now - since, pause: state.paused_until - now }
    }
}

impl State {
    /// The endpoint works, or at least says what it wants.
    fn recover(&mut self) {
        self.failing_since = None;
        self.probes = 0;
    }
}

impl InProgress<'_> {
    /// Lets another call begin beside this one, which cannot tell by itself whether others would be answered.
    pub fn park(&mut self) {
        if !self.is_parked {
            self.is_parked = true;
            self.pace.state.borrow_mut().parked += 1;
        }
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        let mut state = self.pace.state.borrow_mut();
        state.calls -= 1;
        state.parked -= usize::from(self.is_parked);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.pace.state.borrow_mut().under_way -= 1;
        self.pace.changed.notify_one();
    }
}

/// Seconds that one of so many a minute takes up; none without a limit.
fn seconds_each(per_minute: usize) -> f64 {
    if per_minute == 0 { 0.0 } else { 60.0 / per_minute as f64 }
}
