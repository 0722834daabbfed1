//! A role's model behind an endpoint, as a chat model and as a painter.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};
use align::paint::{PaintModel, PaintRequest, Painting, Unpainted};
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;

use crate::address::Address;
use crate::body::WireBody;
use crate::budget::Spending;
use crate::call::Wire;
use crate::caller::{Caller, Outgoing};
use crate::images;
use crate::journal::Journal;
use crate::pace::Pace;
use crate::secrets::Secrets;
use crate::settings::RoleSettings;
use crate::verb::Verb;

/// The longest that a machine may take to accept a connection; slow models take their time after that.
const LONGEST_CONNECT: Duration = Duration::from_secs(20);

/// A role's model behind an endpoint.
///
/// Calls share the thread that wants their answers: they mostly wait.
pub struct Endpoint {
    caller: Caller,
    runtime: tokio::runtime::Runtime,
}

impl std::fmt::Debug for Endpoint {
    /// Leaves out all that could hold a secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Endpoint");
        shown.field("role", &self.caller.role).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Gets ready to call a role's model. `wants_stop` says whether the user wants to stop.
    ///
    /// Errors: a message, when the address is none, the key cannot stand in a header or the system gives no network.
    pub fn new(
        role: &str,
        settings: RoleSettings,
        journal: Arc<Journal>,
        wants_stop: fn() -> bool,
    ) -> Result<Self, String> {
        let address = Address::parse(&settings.url).map_err(|problem| format!("role {role}: url: {problem}"))?;
        let key = std::env::var(&settings.api_key_env).ok();
        let http = client(&settings).map_err(|problem| format!("role {role}: {problem}"))?;
        let authorization =
            authorization(&address, &settings, key.as_deref()).map_err(|problem| format!("role {role}: {problem}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("role {role}: {error}"))?;
        let spending = journal.spent(role)?;
        let caller = Caller {
            role: role.to_owned(),
            wire: Wire {
                secrets: Secrets::new(address.secrets().into_iter().chain(key)),
                pace: Pace::new(&settings, spending.calls > spending.failed),
                settings,
                address,
                http,
                authorization,
                wants_stop,
            },
            journal,
            images: RefCell::default(),
            spending: Cell::new(spending),
        };
        Ok(Self { caller, runtime })
    }

    /// What the role has cost, earlier runs on the same journal included.
    pub fn spending(&self) -> Spending {
        self.caller.spending.get()
    }
}

/// What speaks HTTP. Redirects are followed by who sends, since a body that is a stream is not sent twice by itself.
fn client(settings: &RoleSettings) -> Result<reqwest::Client, String> {
    // Another part of the program may have chosen already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let timeout = Duration::from_secs_f64(settings.timeout);
    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(timeout)
        .connect_timeout(timeout.min(LONGEST_CONNECT))
        .build();
    client.map_err(|error| error.to_string())
}

/// The header that user and password in the address or else the key make.
fn authorization(address: &Address, settings: &RoleSettings, key: Option<&str>) -> Result<Option<HeaderValue>, String> {
    let header = address.authorization().map(str::to_owned).or_else(|| Some(format!("Bearer {}", key?)));
    let Some(header) = header else {
        return Ok(None);
    };
    let mut value = HeaderValue::from_str(&header)
        .map_err(|_| format!("{}: expected a key of printable letters", settings.api_key_env))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

impl ChatModel for Endpoint {
    fn name(&self) -> &str {
        &self.caller.wire.settings.model
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        let settings = &self.caller.wire.settings;
        let mut outgoing = requests.map(|request| Outgoing {
            id: request.id.clone(),
            max_tokens: request.params.max_tokens,
            body: Box::new(move || WireBody::chat(&request, settings)),
        });
        self.runtime.block_on(self.caller.run(&Verb::Chat, &mut outgoing, on_answer))
    }
}

impl PaintModel for Endpoint {
    fn name(&self) -> &str {
        &self.caller.wire.settings.model
    }

    fn paint(
        &self,
        requests: &mut dyn Iterator<Item = PaintRequest>,
        on_painted: &mut dyn FnMut(usize, Result<Painting, Unpainted>),
    ) -> Result<(), ChatError> {
        let folder = self.caller.journal.images();
        let verb = Verb::Paint { folder: folder.clone() };
        let settings = &self.caller.wire.settings;
        let mut outgoing = requests.map(|request| Outgoing {
            id: request.id.clone(),
            max_tokens: 0,
            body: Box::new(move || Ok(WireBody::paint(&request, settings))),
        });
        let mut lost = None;
        let outcome = self.runtime.block_on(self.caller.run(&verb, &mut outgoing, &mut |index, answer| {
            let painted = match answer {
                Err(Unanswered { reason, .. }) => Err(Unpainted { reason }),
                Ok(answer) => match images::read(&folder, &answer.text) {
                    Ok(painting) => Ok(painting),
                    Err(problem) => {
                        lost.get_or_insert(problem);
                        return;
                    }
                },
            };
            on_painted(index, painted);
        }));
        outcome?;
        match lost {
            None => Ok(()),
            Some(problem) => Err(ChatError::Unusable {
                problem: format!("an image that was paid for is lost: {problem}"),
                hint: "put it back, or remove the journal beside it to pay again".to_owned(),
            }),
        }
    }
}
