//! From an error, whichever room it comes from, to its category and hint.

use std::error::Error;
use std::io::ErrorKind;

use align::chat::ChatError;
use align::curate::CurateError;
use align::decontamination::DecontaminationError;
use align::engine::EngineError;
use align::eval::EvalError;
use align::forge::ForgeError;
use align::run_dir::RunError;
use align::training::{SettingError, TrainingError};
use align::types::DataError;
use benchmarks::SetError;
use formats::FormatError;
use report::ReportError;
use serve::ServeError;

use super::Failure;
use crate::config::ConfigError;

/// What kind of failure ended the command; each kind has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// All went well.
    Success,
    /// Something that no other code fits.
    Unexpected,
    /// A wrong argument or setting.
    Usage,
    /// Data that cannot be used.
    Data,
    /// A model folder that cannot be used.
    Model,
    /// The engine failed while it ran, or the numbers left the finite.
    Engine,
    /// Stopped by the user; work is saved.
    Interrupted,
    /// Results cannot be written: a full disk, no permission.
    Output,
    /// A fault of the program itself.
    Bug,
}

impl Category {
    /// The exit code; the help text of `scruple` lists them.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::Data => 3,
            Self::Model => 4,
            Self::Engine => 5,
            Self::Interrupted => 6,
            Self::Output => 7,
            Self::Bug => 70,
        }
    }
}

/// The category of the first error in the chain that has one.
pub fn category_of(error: &anyhow::Error) -> Category {
    error
        .chain()
        .find_map(|error| category(innermost(error)))
        .unwrap_or(Category::Unexpected)
}

/// Looks through errors that only pass on another room's.
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let passed_on = |error: &'a (dyn Error + 'static)| -> Option<&'a (dyn Error + 'static)> {
        match error.downcast_ref::<TrainingError>() {
            Some(TrainingError::Setting(inner)) => return Some(inner),
            Some(TrainingError::Engine(inner)) => return Some(inner),
            Some(TrainingError::Judge(inner)) => return Some(inner),
            Some(TrainingError::Run(inner)) => return Some(inner),
            _ => {}
        }
        match error.downcast_ref::<CurateError>() {
            Some(CurateError::Engine(inner)) => return Some(inner),
            Some(CurateError::Chat(inner)) => return Some(inner),
            Some(CurateError::Run(inner)) => return Some(inner),
            Some(CurateError::Data(inner)) => return Some(inner),
            Some(CurateError::Io(inner)) => return Some(inner),
            Some(CurateError::Setting(inner)) => return Some(inner),
            _ => {}
        }
        if let Some(SetError::Data(inner)) = error.downcast_ref() {
            return Some(inner);
        }
        match error.downcast_ref::<EvalError>() {
            Some(EvalError::Engine(inner)) => return Some(inner),
            Some(EvalError::Judge(inner)) => return Some(inner),
            Some(EvalError::Run(inner)) => return Some(inner),
            Some(EvalError::Data(inner)) => return Some(inner),
            Some(EvalError::Io(inner)) => return Some(inner),
            Some(EvalError::Setting(inner)) => return Some(inner),
            _ => {}
        }
        match error.downcast_ref::<ForgeError>() {
            Some(ForgeError::Chat(inner)) => return Some(inner),
            Some(ForgeError::Run(inner)) => return Some(inner),
            Some(ForgeError::Data(inner)) => return Some(inner),
            Some(ForgeError::Io(inner)) => return Some(inner),
            _ => {}
        }
        match error.downcast_ref::<ReportError>() {
            Some(ReportError::Data(inner)) => return Some(inner),
            Some(ReportError::Io(inner)) => return Some(inner),
            _ => {}
        }
        if let Some(FormatError::Io(inner)) = error.downcast_ref::<FormatError>() {
            return Some(inner);
        }
        match error.downcast_ref::<ServeError>() {
            Some(ServeError::Data(inner)) => return Some(inner),
            Some(ServeError::Io(inner)) => return Some(inner),
            _ => {}
        }
        match (error.downcast_ref(), error.downcast_ref(), error.downcast_ref()) {
            (Some(RunError::Io(inner)), ..) => Some(inner),
            (_, Some(DataError::Io(inner)), _) => Some(inner),
            (.., Some(EngineError::Io(inner))) => Some(inner),
            _ => None,
        }
    };
    std::iter::successors(Some(error), |error| passed_on(*error))
        .last()
        .unwrap_or(error)
}

fn category(error: &(dyn Error + 'static)) -> Option<Category> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        Some(failure.category)
    } else if error.is::<ConfigError>() || error.is::<SettingError>() {
        Some(Category::Usage)
    } else if let Some(error) = error.downcast_ref::<DataError>() {
        Some(match error {
            DataError::Interrupted => Category::Interrupted,
            _ => Category::Data,
        })
    } else if let Some(error) = error.downcast_ref::<EngineError>() {
        Some(of_engine(error))
    } else if let Some(error) = error.downcast_ref::<ChatError>() {
        Some(match error {
            ChatError::Model(_) => Category::Model,
            _ => Category::Interrupted,
        })
    } else if let Some(error) = error.downcast_ref::<std::io::Error>() {
        Some(of_io(error))
    } else {
        of_room(error)
    }
}

fn of_room(error: &(dyn Error + 'static)) -> Option<Category> {
    if let Some(error) = error.downcast_ref::<RunError>() {
        return Some(if matches!(error, RunError::Corrupt { .. }) {
            Category::Data
        } else {
            Category::Usage
        });
    }
    if let Some(error) = error.downcast_ref::<TrainingError>() {
        return Some(if matches!(error, TrainingError::RatioNotOne { .. }) {
            Category::Engine
        } else {
            Category::Data
        });
    }
    if let Some(error) = error.downcast_ref::<CurateError>() {
        return Some(match error {
            CurateError::Interrupted { .. } => Category::Interrupted,
            CurateError::MissingShard(_) => Category::Usage,
            _ => Category::Data,
        });
    }
    if error.is::<DecontaminationError>() {
        return Some(Category::Data);
    }
    if error.is::<SetError>() {
        return Some(Category::Usage);
    }
    if let Some(error) = error.downcast_ref::<FormatError>() {
        return Some(match error {
            FormatError::Container { .. } => Category::Usage,
            FormatError::Parquet { .. } => Category::Output,
            FormatError::Interrupted => Category::Interrupted,
            _ => Category::Data,
        });
    }
    if let Some(error) = error.downcast_ref::<ForgeError>() {
        return Some(if matches!(error, ForgeError::Missing(_)) {
            Category::Usage
        } else {
            Category::Data
        });
    }
    if let Some(error) = error.downcast_ref::<ReportError>() {
        return Some(match error {
            ReportError::Plot { .. } => Category::Output,
            _ => Category::Data,
        });
    }
    if let Some(error) = error.downcast_ref::<ServeError>() {
        return Some(match error {
            ServeError::Setting { .. } | ServeError::KvCacheTooSmall { .. } | ServeError::Address { .. } => {
                Category::Usage
            }
            ServeError::Vocabulary(_) => Category::Model,
            ServeError::RequestsTruncated { .. } | ServeError::ReviewStopped { .. } => Category::Interrupted,
            ServeError::NothingToReview { .. } | ServeError::Data(_) | ServeError::Io(_) => Category::Data,
        });
    }
    error.downcast_ref::<EvalError>().map(|error| match error {
        EvalError::ItemChanged { .. } => Category::Usage,
        EvalError::Count { .. } => Category::Engine,
        _ => Category::Data,
    })
}

fn of_engine(error: &EngineError) -> Category {
    match error {
        error if error.is_of_data() => Category::Data,
        EngineError::Model(_) => Category::Model,
        _ => Category::Engine,
    }
}

fn of_io(error: &std::io::Error) -> Category {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::InvalidData => {
            Category::Data
        }
        ErrorKind::StorageFull
        | ErrorKind::QuotaExceeded
        | ErrorKind::FileTooLarge
        | ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem => Category::Output,
        _ => Category::Unexpected,
    }
}

/// The first hint in the chain.
pub fn hint_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|error| hint(innermost(error)))
}

fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.hint.clone();
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return error.hint.clone();
    }
    if let Some(error) = error.downcast_ref::<RunError>() {
        let exists = "add `--resume` to go on with it, or choose another `--out`";
        return matches!(error, RunError::Exists { .. }).then(|| exists.into());
    }
    if let Some(error) = error.downcast_ref::<ChatError>() {
        let goes_on = "the same command goes on, with `--resume` where it takes that: what was answered is kept and costs \
                       nothing again";
        return (!matches!(error, ChatError::Model(_))).then(|| goes_on.into());
    }
    if let Some(error) = error.downcast_ref::<FormatError>() {
        return match error {
            FormatError::Malformed { path, .. } => Some(format!(
                "`scruple data check {}` lists all that is wrong with it",
                path.display()
            )),
            FormatError::Unrecognised { .. } => Some("say what it is with `--from NAME` or `--format NAME`".into()),
            _ => None,
        };
    }
    if let Some(error) = error.downcast_ref::<ServeError>() {
        return match error {
            ServeError::KvCacheTooSmall { .. } => Some("--kv-cache-memory-bytes says how much memory there is".into()),
            ServeError::RequestsTruncated { .. } => Some("--shutdown-timeout gives them more time".into()),
            ServeError::ReviewStopped { .. } => Some("the same command resumes".into()),
            _ => None,
        };
    }
    if let Some(CurateError::MissingShard(shard)) = error.downcast_ref() {
        return Some(format!("add `--merge DIR` with the folder of shard {shard}"));
    }
    match error.downcast_ref::<std::io::Error>()?.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("free some space, then go on with `--resume`; what was written before is kept".into())
        }
        ErrorKind::PermissionDenied => Some("check the permissions of the file and of its folder".into()),
        _ => None,
    }
}

/// The item that an engine found fault with, and what is wrong with it.
pub fn faulty_item(error: &anyhow::Error) -> Option<(&str, &str)> {
    error
        .chain()
        .find_map(|error| match innermost(error).downcast_ref::<EngineError>() {
            Some(EngineError::Item { id, problem }) => Some((id.as_str(), problem.as_str())),
            _ => None,
        })
}

/// Whether the reader of standard output hung up.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|error| innermost(error).downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == ErrorKind::BrokenPipe)
}
