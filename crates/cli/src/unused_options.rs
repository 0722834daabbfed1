//! What messages say of how images are shown and a model does not use: told, once a model.

use std::cell::Cell;

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};
use align::types::{ImageOptions, shown_images};

/// A model that tells on the standard error which options it does not use.
pub struct Telling<M> {
    role: String,
    model: M,
    unused: fn(ImageOptions) -> bool,
    message: &'static str,
    has_told: Cell<bool>,
}

impl<M> Telling<M> {
    /// A role's model on this machine.
    pub fn local(role: &str, model: M) -> Self {
        let message = "its `detail` is not used: it is for models behind endpoints";
        Self::new(role, model, |options| options.detail.is_some(), message)
    }

    /// A role's model behind an endpoint.
    pub fn remote(role: &str, model: M) -> Self {
        let message = "the size that it is given (`max_pixels` and the like) is not sent: endpoints have one for all \
                       images, such as vLLM's --mm-processor-kwargs";
        Self::new(role, model, |options| !options.size().is_empty(), message)
    }

    fn new(role: &str, model: M, unused: fn(ImageOptions) -> bool, message: &'static str) -> Self {
        Self { role: role.to_owned(), model, unused, message, has_told: Cell::new(false) }
    }

    fn tell(&self, request: &ChatRequest) {
        let mut shown = shown_images(&request.messages);
        if !self.has_told.get()
            && let Some((image, _)) = shown.find(|(_, options)| (self.unused)(*options))
        {
            self.has_told.set(true);
            eprintln!("warning: `{}`: image {}, perhaps others: {}", self.role, image.display(), self.message);
        }
    }
}

impl<M: ChatModel> ChatModel for Telling<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        self.model.answer(&mut requests.inspect(|request| self.tell(request)), on_answer)
    }
}
