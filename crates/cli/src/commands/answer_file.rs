//! Commands whose results are a line for each answer of one model.

use std::path::Path;

use align::chat::{ChatAnswer, ChatModel, ChatRequest, Unanswered, answer_in_order};
use align::progress::Progress;
use serde_json::Value;

use crate::arguments::RestartArguments;
use crate::config::tables::RoleTables;
use crate::context::Context;
use crate::data::located;
use crate::errors::Result;
use crate::lines::ResultFile;
use crate::output_folder::OutputFolder;
use crate::roles::{Roles, check_any, with_costs};

/// A file of lines made of answers, with the journal that keeps the answers beside it.
pub struct AnswerFile<'a> {
    file: ResultFile,
    roles: Roles<'a>,
    restart: bool,
    retry_failed: bool,
}

impl<'a> AnswerFile<'a> {
    /// The file at `path`, made with these settings by models of these roles. Nothing is touched.
    pub fn new(
        path: &Path,
        settings: Value,
        tables: &'a RoleTables,
        restart: RestartArguments,
        retry_failed: bool,
        context: &Context,
    ) -> Self {
        let file = ResultFile::new(path, settings);
        let roles = Roles::new(tables, file.journal().as_deref(), context.global.device);
        Self { file, roles, restart: restart.restart, retry_failed }
    }

    /// The models, whose answers the journal keeps.
    pub fn roles(&self) -> &Roles<'a> {
        &self.roles
    }

    /// Makes sure that what an earlier call left, unless it goes, was made with the same settings.
    ///
    /// Errors: of settings naming the first that differs; of output naming the journal.
    pub fn check(&self) -> Result {
        if self.restart { Ok(()) } else { self.file.check(self.roles.has_answers()?) }
    }

    /// Makes the folder that the file goes into.
    ///
    /// Errors: of output where it cannot be made.
    pub fn folder(&self) -> Result<OutputFolder> {
        self.file.folder()
    }

    /// Has the model answer the requests, and writes the line that each answer becomes, in their order. `data` is the
    /// file that the requests are from.
    ///
    /// Errors: those of the model, with the line of `data`; of model where not one request was answered; those of `line`;
    /// of output when the file cannot be written.
    pub fn write(
        &self,
        work: &str,
        data: &Path,
        model: &dyn ChatModel,
        requests: &mut dyn ExactSizeIterator<Item = ChatRequest>,
        line: &mut dyn FnMut(Result<ChatAnswer, Unanswered>) -> Result<String>,
        context: &mut Context,
    ) -> Result {
        self.roles.begin(self.restart, self.retry_failed)?;
        self.file.begin(self.restart)?;
        let progress = &mut context.progress;
        let mut nothing = Nothing::default();
        let written = self.file.write(|lines| {
            let mut written = Ok(());
            progress.begin(work, requests.len());
            answer_in_order(model, requests, &mut |answer| {
                nothing.note(&answer);
                if written.is_ok() {
                    written = line(answer).and_then(|line| lines.write(line));
                }
                progress.advance(1);
            })?;
            progress.end();
            written
        });
        let written = written.map_err(|error| located(error, &[data]));
        if self.file.is_kept() { with_costs(&self.roles, written) } else { written }?;
        check_any("prompts were answered", nothing.reason().as_deref())
    }
}

/// Whether there are requests and none was answered, and why not the first.
#[derive(Default)]
struct Nothing {
    is_any_answered: bool,
    first: Option<String>,
}

impl Nothing {
    fn note(&mut self, answer: &Result<ChatAnswer, Unanswered>) {
        match answer {
            Ok(_) => self.is_any_answered = true,
            Err(Unanswered { reason }) => {
                self.first.get_or_insert_with(|| reason.clone());
            }
        }
    }

    fn reason(self) -> Option<String> {
        self.first.filter(|_| !self.is_any_answered)
    }
}
