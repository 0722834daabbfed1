//! Commands whose results are a line for each answer of one model.

use std::path::{Path, PathBuf};

use align::chat::{ChatAnswer, ChatModel, ChatRequest, Unanswered, answer_in_order};
use align::progress::Progress;
use align::types::Item;
use serde_json::Value;

use super::job::Job;
use crate::arguments::RestartArguments;
use crate::config::tables::RoleTables;
use crate::context::Context;
use crate::data::{check_apart, located, read_checked};
use crate::errors::Result;
use crate::lines::ResultFile;
use crate::output_folder::OutputFolder;
use crate::roles::{Model, Roles, check_any, with_costs};

/// A command that has one model answer the dialogues of a data file, and writes a line for each answer.
pub trait Answering {
    /// The file that the lines go into.
    fn file(&self) -> &AnswerFile<'_>;

    /// What is wrong with an item, or nothing.
    fn problem(item: &Item) -> Option<String>;

    /// Opens the model.
    fn model(&self, context: &Context) -> Result<Model>;

    /// Has the model answer the items, and writes the lines by [`AnswerFile::write`].
    fn answer(&self, items: &[Item], model: &Model, context: &mut Context) -> Result;
}

impl<A: Answering> Job for A {
    type Data = Vec<Item>;
    type Models = Model;
    type Product = ();

    fn finished(&self) -> Result<Option<()>> {
        self.file().check().map(|()| None)
    }

    fn data(&self) -> Result<Vec<Item>> {
        let AnswerFile { data, file, .. } = self.file();
        check_apart(data, file.path())?;
        read_checked(data, A::problem)
    }

    fn folder(&self, _: &Vec<Item>, _: &Context) -> Result<OutputFolder> {
        self.file().file.folder()
    }

    fn models(&self, context: &Context) -> Result<Model> {
        self.model(context)
    }

    fn work(&self, items: Vec<Item>, model: Model, context: &mut Context) -> Result {
        self.answer(&items, &model, context)
    }
}

/// A file of lines made of answers, with the journal that keeps the answers beside it.
pub struct AnswerFile<'a> {
    data: PathBuf,
    file: ResultFile,
    roles: Roles<'a>,
    restart: bool,
    retry_failed: bool,
}

impl<'a> AnswerFile<'a> {
    /// The file at `path`, made of the dialogues of `data` with these settings by models of these roles. Nothing is
    /// touched.
    pub fn new(
        data: &Path,
        path: &Path,
        settings: Value,
        tables: &'a RoleTables,
        restart: RestartArguments,
        retry_failed: bool,
        context: &Context,
    ) -> Self {
        let file = ResultFile::new(path, settings);
        let roles = Roles::new(tables, file.journal().as_deref(), context.global.device);
        Self { data: data.to_owned(), file, roles, restart: restart.restart, retry_failed }
    }

    /// The models, whose answers the journal keeps.
    pub fn roles(&self) -> &Roles<'a> {
        &self.roles
    }

    /// Makes sure that what an earlier call left, unless it goes, was made with the same settings.
    ///
    /// Errors: of settings naming the first that differs; of output naming the journal.
    fn check(&self) -> Result {
        if self.restart { Ok(()) } else { self.file.check(self.roles.has_answers()?) }
    }

    /// Has the model answer the requests, and writes the line that each answer becomes, in their order.
    ///
    /// Errors: those of the model, with the line of the data; of model where not one request was answered; those of `line`;
    /// of output when the file cannot be written.
    pub fn write(
        &self,
        work: &str,
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
        let written = written.map_err(|error| located(error, &[&self.data]));
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
            Err(Unanswered { reason, .. }) => {
                self.first.get_or_insert_with(|| reason.clone());
            }
        }
    }

    fn reason(self) -> Option<String> {
        self.first.filter(|_| !self.is_any_answered)
    }
}
