//! `scruple score`: a data file of dialogues in, the log-probability of every token out.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatParams, ChatRequest, Unanswered};
use align::engine::{EngineError, Reply, Sequence};
use align::types::{Item, relative_to};
use clap::Args;
use engine::{LocalEngine, ScoredDialogue, Trainable};
use serde::Serialize;
use serde_json::json;

use super::answer_file::{AnswerFile, Answering};
use super::job;
use crate::arguments::{ModelArguments, RestartArguments, flag};
use crate::config::required;
use crate::config::tables::{ModelTable, RoleTables, ScoreSettings};
use crate::context::Context;
use crate::data::without_reply;
use crate::errors::{Failure, Result};
use crate::interrupt;
use crate::model;
use crate::roles::{Model, policy_settings};

/// Dialogues whose scores are written down together.
const BATCH_SIZE: usize = 16;

const AFTER_HELP: &str = "\
Data is one JSON object a line, image paths relative to the data file, the last message the
assistant's:
  {\"id\": \"1\", \"messages\": [{\"role\": \"user\", \"content\": [
    {\"type\": \"image\", \"image\": \"cat.png\"}, {\"type\": \"text\", \"text\": \"What is this?\"}]},
    {\"role\": \"assistant\", \"content\": \"A cat.\"}]}

Each line of --out holds `id`, `input_ids` (prompt and reply, image tokens expanded), `labels_mask`
(1 on the tokens of the last message, its end token included) and `logprobs`: entry t is the
log-probability (nats) of token t given those before it, null for the first. All scores are in
FILE.journal.sqlite before they are used: the same command resumes after a stop and ends in the same
bytes. Pipes get lines as they come, and nothing is kept beside them.

The exit code is 0 once every line is there, 3 where a line of the data cannot be used, 4 where the
model cannot, 6 after a stop; `scruple --help` has them all.

Example:
  scruple score --model MODEL --data dialogues.jsonl --out scores.jsonl";

/// Compute the log-probability of every token of a data file's dialogues.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The dialogues, one JSON object a line with `id` and `messages`, the last message the assistant's; short for
    /// `data.dialogues=…`
    #[arg(long, value_name = "FILE.jsonl")]
    data: Option<String>,
    /// The file of scores
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    #[command(flatten)]
    restart: RestartArguments,
}

/// One line of the results, but for its dialogue's `id`: dialogues alike share their scores.
#[derive(Serialize)]
struct Line<'a> {
    input_ids: &'a [u32],
    labels_mask: Vec<u8>,
    logprobs: &'a [Option<f32>],
}

/// Runs the command.
///
/// Errors: of data for a dialogue that does not end with the assistant's message, of output when the results cannot be
/// written, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let data = flag("--data", &["data", "dialogues"], arguments.data.as_ref());
    let settings = arguments.model.load::<ScoreSettings>([data])?.settings;
    let data = required(settings.data.dialogues.as_ref(), "data.dialogues")?;
    let path = &arguments.out;
    let folder = path.parent().unwrap_or(Path::new(""));
    let no_roles = RoleTables::new();
    let deciding = json!({
        "command": "score",
        "data": relative_to(data, folder),
        "policy": policy_settings(&settings.model.relative_to(folder), &no_roles),
    });
    let out = AnswerFile::new(data, path, deciding, &no_roles, arguments.restart, false, context);
    job::run(&Scoring { model: &settings.model, out }, context)
}

/// The scoring of dialogues.
struct Scoring<'a> {
    model: &'a ModelTable,
    out: AnswerFile<'a>,
}

impl Answering for Scoring<'_> {
    fn file(&self) -> &AnswerFile<'_> {
        &self.out
    }

    fn problem(item: &Item) -> Option<String> {
        without_reply(item)
    }

    fn model(&self, context: &Context) -> Result<Model> {
        let scorer = Scorer::open(self.model, context)?;
        self.out.roles().journalled("score", self.model, scorer, BATCH_SIZE)
    }

    fn answer(&self, items: &[Item], scorer: &Model, context: &mut Context) -> Result {
        let mut requests = items.iter().map(|item| ChatRequest {
            id: item.id.clone(),
            messages: item.messages.clone(),
            params: ChatParams::default(),
        });
        let mut ids = items.iter().map(|item| json!(item.id));
        let mut line = |scores: Result<ChatAnswer, Unanswered>| {
            let id = ids.next().unwrap_or_default();
            let scores = scores.map_err(|unanswered| Failure::data(unanswered.reason))?;
            Ok(format!("{{\"id\":{id},{}", &scores.text[1..]))
        };
        self.out.write("score", &**scorer, &mut requests, &mut line, context)
    }
}

/// The model as one that answers a dialogue with its scores, so that scores are kept as answers are.
struct Scorer {
    name: String,
    engine: RefCell<LocalEngine>,
}

impl Scorer {
    fn open(table: &ModelTable, context: &Context) -> Result<Self> {
        let path = table.path.as_deref().unwrap_or(Path::new(""));
        Ok(Self {
            name: path.display().to_string(),
            engine: RefCell::new(model::open(table, Trainable::Frozen, 0, context.global.device)?),
        })
    }

    fn line(&self, request: ChatRequest) -> Result<String, EngineError> {
        let mut messages = request.messages;
        let reply = messages.pop().map(|reply| reply.plain_text()).unwrap_or_default();
        let sequence = Sequence { id: request.id, messages, reply: Reply::Text(reply) };
        let scored = self.engine.borrow_mut().score(&sequence)?;
        Ok(serde_json::to_string(&line(&scored)).map_err(std::io::Error::from)?)
    }
}

impl ChatModel for Scorer {
    fn name(&self) -> &str {
        &self.name
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        for (index, request) in requests.enumerate() {
            if interrupt::requested() {
                return Err(ChatError::Interrupted);
            }
            on_answer(index, Ok(ChatAnswer::of(self.line(request)?)));
        }
        Ok(())
    }
}

fn line(scored: &ScoredDialogue) -> Line<'_> {
    let labels_mask = (0..scored.input_ids.len()).map(|token_idx| u8::from(token_idx >= scored.prompt_length));
    Line { input_ids: &scored.input_ids, labels_mask: labels_mask.collect(), logprobs: &scored.logprobs }
}
