//! The journal of calls: an SQLite file with a write-ahead log, one row for each call that ended.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use align::chat::{ChatAnswer, Unanswered};
use rusqlite::{Connection, OptionalExtension, params};

use crate::budget::{Outcome, Shared, Spending};
use crate::estimate::{Correction, Estimate};
use crate::images;
use crate::key::Key;

/// Answers and failures by the key of their request. What is in it survives the end of the process at any moment. One
/// process uses it at a time, since two would pay twice for what neither knows yet.
#[derive(Debug)]
pub struct Journal {
    open: Mutex<Open>,
    path: PathBuf,
    /// Where the rows really are, of a snapshot.
    copy: Option<tempfile::TempDir>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// How many requests of each role were answered without a call.
    answered: HashMap<String, u64>,
    /// What all roles may cost together; 0 for no limit.
    max_cost: f64,
    /// Held as long as the journal is open; the system lets go of it however the process ends.
    _lock: Option<File>,
}

/// What a finished call leaves behind.
pub(crate) struct Record<'a> {
    pub key: Key,
    pub role: &'a str,
    pub model: &'a str,
    /// The first request for it.
    pub id: &'a str,
    pub outcome: &'a Outcome,
    pub cost: f64,
    pub attempts: usize,
    /// What the prompt was taken to be; nothing where nobody estimated.
    pub estimate: Estimate,
}

/// What earlier calls of a model took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    /// Answers whose prompts were estimated and then counted by the endpoint.
    pub measured: u64,
    /// What the endpoint counts for each token estimated.
    pub correction: Correction,
    /// Answers whose tokens were counted.
    pub answered: u64,
    /// How many they are on average.
    pub written: Option<f64>,
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
        estimated INTEGER NOT NULL,
        refused INTEGER NOT NULL DEFAULT 0,
        text_estimate INTEGER NOT NULL DEFAULT 0,
        image_estimate INTEGER NOT NULL DEFAULT 0,
        ended_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    );
    CREATE INDEX IF NOT EXISTS calls_by_role ON calls (role);
";

impl Journal {
    /// Opens the journal. It and its folder are made where there are none.
    ///
    /// Errors: a message naming the file, also where another process uses it.
    pub fn open(path: &Path) -> Result<Self, String> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs_err::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        Self::connected(path, Connection::open(path), Some(lock(path)?))
    }

    /// A journal that lasts as long as the process, for results beside which no file belongs.
    ///
    /// Errors: a message.
    pub fn in_memory() -> Result<Self, String> {
        Self::connected(Path::new(":memory:"), Connection::open_in_memory(), None)
    }

    fn connected(path: &Path, connection: rusqlite::Result<Connection>, lock: Option<File>) -> Result<Self, String> {
        let made = connection.and_then(|connection| {
            connection.execute_batch(SCHEMA)?;
            add_columns(&connection)?;
            Ok(connection)
        });
        let connection = made.map_err(|error| format!("{}: cannot be used as a journal: {error}", path.display()))?;
        Ok(Self {
            open: Mutex::new(Open { connection, answered: HashMap::new(), max_cost: 0.0, _lock: lock }),
            path: path.to_owned(),
            copy: None,
        })
    }

    /// What is in a journal, to read alone: changes are to a copy, which is gone with the value.
    ///
    /// Errors: as [`Self::open`].
    pub fn snapshot(path: &Path) -> Result<Self, String> {
        if !path.exists() {
            return Self::in_memory();
        }
        let _lock = lock(path)?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let copy = folder.path().join("journal.sqlite");
        for end in ["", "-wal"] {
            let [from, to] = [path, &copy].map(|path| PathBuf::from(format!("{}{end}", path.display())));
            if from.exists() {
                fs_err::copy(from, to).map_err(|error| error.to_string())?;
            }
        }
        let mut journal = Self::connected(path, Connection::open(&copy), None)?;
        journal.copy = Some(folder);
        Ok(journal)
    }

    /// The folder of the images that rows point to.
    pub(crate) fn images(&self) -> PathBuf {
        images::folder(&self.path)
    }

    /// Whether no call is in it.
    ///
    /// Errors: a message naming the file.
    pub fn is_empty(&self) -> Result<bool, String> {
        let query = "SELECT NOT EXISTS (SELECT 1 FROM calls)";
        let open = self.opened();
        open.connection.query_row(query, [], |row| row.get(0)).map_err(|error| self.named(&error))
    }

    /// Forgets every call, what it cost included.
    ///
    /// Errors: a message naming the file.
    pub fn clear(&self) -> Result<(), String> {
        let cleared = self.opened().connection.execute("DELETE FROM calls", []);
        cleared.map_err(|error| self.named(&error))?;
        let images = self.images();
        if images.exists() {
            fs_err::remove_dir_all(images).map_err(|error| error.to_string())?;
        }
        Ok(())
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
        let row = open.connection.prepare_cached("SELECT answer, failure, refused FROM calls WHERE key = ?1");
        let found = row.and_then(|mut query| {
            query
                .query_row([&key[..]], |row| {
                    let answer: Option<String> = row.get(0)?;
                    let reason = row.get::<_, Option<String>>(1)?.unwrap_or_default();
                    Ok((answer, Unanswered { reason, is_refused: row.get(2)? }))
                })
                .optional()
        });
        match found.map_err(|error| self.named(&error))? {
            None => Ok(None),
            Some((Some(answer), _)) => serde_json::from_str(&answer)
                .map(|answer| Some(Ok(answer)))
                .map_err(|error| format!("{}: a row that is no answer: {error}", self.path.display())),
            Some((None, failure)) => Ok(Some(Err(failure))),
        }
    }

    /// Writes calls down, all of them or none.
    pub(crate) fn put(&self, records: &[Record]) -> Result<(), String> {
        let mut open = self.opened();
        let written = open.connection.transaction().and_then(|transaction| {
            for record in records {
                insert(&transaction, record)?;
            }
            transaction.commit()
        });
        written.map_err(|error| self.named(&error))
    }

    /// Forgets a role's failed calls, so that they are made again; what they cost stays. Returns their number.
    ///
    /// Errors: a message naming the file.
    pub fn forget_failures(&self, role: &str) -> Result<usize, String> {
        // Under a key that no request has, a row only counts.
        let statement = "UPDATE calls SET key = randomblob(32), failure = NULL \
                         WHERE role = ?1 AND answer IS NULL AND failure IS NOT NULL";
        let open = self.opened();
        let forgotten = open.connection.execute(statement, [role]);
        let free = "DELETE FROM calls WHERE role = ?1 AND answer IS NULL AND failure IS NULL \
                    AND cost = 0 AND prompt_tokens + completion_tokens = 0";
        forgotten
            .and_then(|forgotten| open.connection.execute(free, [role]).map(|_| forgotten))
            .map_err(|error| self.named(&error))
    }

    /// What a role has cost so far.
    ///
    /// Errors: a message naming the file.
    pub fn spent(&self, role: &str) -> Result<Spending, String> {
        let query = "SELECT count(*), count(*) - count(answer), total(prompt_tokens), total(completion_tokens), \
                     total(cost), total(estimated) FROM calls WHERE role = ?1";
        let spending = self.opened().connection.query_row(query, [role], |row| {
            Ok(Spending {
                calls: row.get::<_, i64>(0)? as u64,
                failed: row.get::<_, i64>(1)? as u64,
                prompt_tokens: row.get::<_, f64>(2)? as u64,
                completion_tokens: row.get::<_, f64>(3)? as u64,
                cost: row.get(4)?,
                estimated: row.get::<_, f64>(5)? as u64,
            })
        });
        spending.map_err(|error| self.named(&error))
    }

    /// Lets all roles together cost this much, earlier runs included; 0 for no limit.
    pub fn limit_cost(&self, max_cost: f64) {
        self.opened().max_cost = max_cost;
    }

    /// The budget over all roles, and what the others have spent of it.
    pub(crate) fn shared_budget(&self, role: &str) -> Result<Shared, String> {
        let open = self.opened();
        let query = "SELECT total(cost) FROM calls WHERE role <> ?1";
        let spent = open.connection.query_row(query, [role], |row| row.get(0));
        let by_others = spent.map_err(|error| self.named(&error))?;
        Ok(Shared { max_cost: open.max_cost, by_others })
    }

    /// What a role's calls of a model took so far.
    pub(crate) fn past(&self, role: &str, model: &str) -> Result<Past, String> {
        let query = "SELECT 1.0 * text_estimate, 1.0 * image_estimate, 1.0 * prompt_tokens, 1.0 * completion_tokens \
                     FROM calls \
                     WHERE role = ?1 AND model = ?2 AND answer IS NOT NULL AND estimated = 0 AND prompt_tokens > 0";
        let open = self.opened();
        let rows = open.connection.prepare(query).and_then(|mut query| {
            let rows =
                query.query_map([role, model], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
            rows.collect::<rusqlite::Result<Vec<[f64; 4]>>>()
        });
        let rows = rows.map_err(|error| self.named(&error))?;
        let measured = || rows.iter().filter(|[text, images, ..]| text + images > 0.0);
        let written: f64 = rows.iter().map(|[.., written]| written).sum();
        Ok(Past {
            measured: measured().count() as u64,
            correction: Correction::fit(measured().map(|[text, images, counted, _]| [*text, *images, *counted])),
            answered: rows.len() as u64,
            written: (!rows.is_empty()).then(|| written / rows.len() as f64),
        })
    }

    fn named(&self, error: &rusqlite::Error) -> String {
        format!("{}: {error}", self.path.display())
    }
}

/// Columns that journals of earlier versions do not have.
const ADDED: [&str; 3] = ["refused", "text_estimate", "image_estimate"];

fn add_columns(connection: &Connection) -> rusqlite::Result<()> {
    for name in ADDED {
        let query = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('calls') WHERE name = ?1)";
        if !connection.query_row(query, [name], |row| row.get::<_, bool>(0))? {
            connection.execute_batch(&format!("ALTER TABLE calls ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0"))?;
        }
    }
    Ok(())
}

/// Takes the file beside a journal that only one process can hold. It stays there: taking it away would race.
///
/// Errors: a message naming the journal, where another process has it.
fn lock(journal: &Path) -> Result<File, String> {
    let mut path = journal.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let opened = fs_err::OpenOptions::new().create(true).write(true).truncate(false).open(&path);
    let file = opened.map_err(|error| error.to_string())?.into_file();
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "{}: another process is using this journal, and two would pay twice for the same answers: wait until it ends, \
             or use another folder (it holds {})",
            journal.display(),
            path.display()
        )),
        // Some network file systems know no locks; a journal there is better than none.
        Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(format!("{}: cannot be locked: {error}", path.display())),
    }
}

fn insert(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    let Outcome { answer, usage } = record.outcome;
    let text = answer.as_ref().ok().map(|answer| serde_json::to_string(answer).unwrap_or_default());
    let failure = answer.as_ref().err().map(|failure| failure.reason.as_str());
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO calls (key, role, model, id, answer, failure, prompt_tokens, completion_tokens, cost, \
         attempts, estimated, refused, text_estimate, image_estimate) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    statement.execute(params![
        &record.key[..],
        record.role,
        record.model,
        record.id,
        text,
        failure,
        usage.prompt_tokens as i64,
        usage.completion_tokens as i64,
        record.cost,
        record.attempts as i64,
        usage.is_estimated,
        answer.as_ref().is_err_and(|failure| failure.is_refused),
        record.estimate.of_text as i64,
        record.estimate.of_images as i64,
    ])?;
    Ok(())
}
