//! The journal of calls: an SQLite file with a write-ahead log, one row for each call that ended.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use align::chat::{ChatAnswer, Unanswered};
use rusqlite::{Connection, OptionalExtension, params};

use crate::body::Key;
use crate::budget::Spending;
use crate::pictures;

/// Answers and failures by the key of their request. What is in it survives the end of the process at any moment.
#[derive(Debug)]
pub struct Journal {
    open: Mutex<Open>,
    path: PathBuf,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// How many requests of each role were answered without a call.
    answered: HashMap<String, u64>,
}

/// What a finished call leaves behind.
pub(crate) struct Record<'a> {
    pub key: Key,
    pub role: &'a str,
    pub model: &'a str,
    /// The first request that asked for it.
    pub id: &'a str,
    pub outcome: &'a Result<ChatAnswer, Unanswered>,
    pub cost: f64,
    pub attempts: usize,
}

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    -- A commit survives a killed process; only a power cut can take the last ones.
    PRAGMA synchronous = NORMAL;
    PRAGMA busy_timeout = 10000;
    CREATE TABLE IF NOT EXISTS calls (
        key BLOB PRIMARY KEY,
        role TEXT NOT NULL,
        model TEXT NOT NULL,
        id TEXT NOT NULL,
        answer TEXT,
        failure TEXT,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cost REAL NOT NULL,
        attempts INTEGER NOT NULL,
        ended_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    );
    CREATE INDEX IF NOT EXISTS calls_by_role ON calls (role);
";

impl Journal {
    /// Opens the journal, which is made where there is none.
    ///
    /// Errors: a message naming the file.
    pub fn open(path: &Path) -> Result<Self, String> {
        let named = |error: rusqlite::Error| format!("{}: cannot be used as a journal: {error}", path.display());
        let connection = Connection::open(path).map_err(named)?;
        connection.execute_batch(SCHEMA).map_err(named)?;
        Ok(Self {
            open: Mutex::new(Open {
                connection,
                answered: HashMap::new(),
            }),
            path: path.to_owned(),
        })
    }

    /// The folder of the pictures that rows point to.
    pub(crate) fn pictures(&self) -> PathBuf {
        pictures::folder(&self.path)
    }

    /// What is known of a role's request.
    pub(crate) fn get(&self, role: &str, key: &Key) -> Result<Option<Result<ChatAnswer, Unanswered>>, String> {
        let known = self.look_up(key)?;
        if known.is_some() {
            *self.opened().answered.entry(role.to_owned()).or_default() += 1;
        }
        Ok(known)
    }

    /// How many of a role's requests were answered without a call since the journal was opened.
    pub fn answered(&self, role: &str) -> u64 {
        self.opened().answered.get(role).copied().unwrap_or_default()
    }

    fn opened(&self) -> MutexGuard<'_, Open> {
        // A panic elsewhere leaves the connection as whole as it was.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_up(&self, key: &Key) -> Result<Option<Result<ChatAnswer, Unanswered>>, String> {
        let open = self.opened();
        let row = open
            .connection
            .prepare_cached("SELECT answer, failure FROM calls WHERE key = ?1");
        let found = row.and_then(|mut query| {
            query
                .query_row([&key[..]], |row| {
                    Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?))
                })
                .optional()
        });
        match found.map_err(|error| self.named(&error))? {
            None => Ok(None),
            Some((Some(answer), _)) => serde_json::from_str(&answer)
                .map(|answer| Some(Ok(answer)))
                .map_err(|error| format!("{}: a row that is no answer: {error}", self.path.display())),
            Some((None, failure)) => Ok(Some(Err(Unanswered {
                reason: failure.unwrap_or_default(),
            }))),
        }
    }

    /// Writes a call down.
    pub(crate) fn put(&self, record: &Record) -> Result<(), String> {
        insert(&self.opened().connection, record).map_err(|error| self.named(&error))
    }

    /// Forgets a role's failed calls, so that they are made again. Returns their number.
    ///
    /// Errors: a message naming the file.
    pub fn forget_failures(&self, role: &str) -> Result<usize, String> {
        let statement = "DELETE FROM calls WHERE role = ?1 AND answer IS NULL";
        self.opened()
            .connection
            .execute(statement, [role])
            .map_err(|error| self.named(&error))
    }

    /// What a role has cost so far.
    ///
    /// Errors: a message naming the file.
    pub fn spent(&self, role: &str) -> Result<Spending, String> {
        let query = "SELECT count(*), count(*) - count(answer), total(prompt_tokens), total(completion_tokens), \
                     total(cost) FROM calls WHERE role = ?1";
        let read = |row: &rusqlite::Row| {
            Ok(Spending {
                calls: row.get::<_, i64>(0)? as u64,
                failed: row.get::<_, i64>(1)? as u64,
                prompt_tokens: row.get::<_, f64>(2)? as u64,
                completion_tokens: row.get::<_, f64>(3)? as u64,
                cost: row.get(4)?,
            })
        };
        self.opened()
            .connection
            .query_row(query, [role], read)
            .map_err(|error| self.named(&error))
    }

    fn named(&self, error: &rusqlite::Error) -> String {
        format!("{}: {error}", self.path.display())
    }
}

fn insert(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    let (answer, failure) = match record.outcome {
        Ok(answer) => (Some(answer), None),
        Err(failure) => (None, Some(failure.reason.as_str())),
    };
    let tokens = |count: fn(&ChatAnswer) -> u64| answer.map_or(0, count) as i64;
    let text = answer.map(|answer| serde_json::to_string(answer).unwrap_or_default());
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO calls (key, role, model, id, answer, failure, prompt_tokens, completion_tokens, cost, \
         attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    statement.execute(params![
        &record.key[..],
        record.role,
        record.model,
        record.id,
        text,
        failure,
        tokens(|answer| answer.prompt_tokens),
        tokens(|answer| answer.completion_tokens),
        record.cost,
        record.attempts as i64,
    ])?;
    Ok(())
}
