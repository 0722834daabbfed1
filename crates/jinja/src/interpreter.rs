//! Runs a template: statements, scopes and output. Expressions are in [`expressions`], calls in [`calls`].

mod calls;
mod expressions;
mod scopes;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use scopes::Scopes;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::filters::items;
use crate::syntax::{Argument, ExprKind, FilterCall, For, Macro, Statement, Target};
use crate::text::to_str;
use crate::value::{Loop, Value, lock};

/// Variables that transformers always passes, as `None` where there is nothing: a loop over them is empty then.
const NONE_IS_EMPTY: [&str; 2] = ["tools", "documents"];

/// Text that a template makes of its variables.
///
/// Errors: what the template refuses, or does wrong, and in which line.
pub(crate) fn render(template: &[Statement], variables: Vec<(String, Value)>) -> Result<String> {
    let mut interpreter = Interpreter {
        budget: Budget::new(),
        scopes: Scopes::new(variables),
        macros: Vec::new(),
        loops: Vec::new(),
        output: vec![String::new()],
    };
    interpreter.run(template, 0)?;
    Ok(interpreter.output.pop().unwrap_or_default())
}

/// Bytes of a scope that is kept for a macro.
const KEPT_SCOPE: usize = 512;

struct Interpreter<'t> {
    budget: Budget,
    scopes: Scopes,
    /// The macros that came to be, each with the scope in which it stands.
    macros: Vec<(&'t Macro, usize)>,
    /// The recursive loops that ran, likewise.
    loops: Vec<(&'t For, usize)>,
    /// The text so far, and above it the texts of blocks that are captured.
    output: Vec<String>,
}

/// How statements ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl<'t> Interpreter<'t> {
    fn run(&mut self, statements: &'t [Statement], scope: usize) -> Result<Flow> {
        self.budget.enter()?;
        let mut flow = Flow::Next;
        for statement in statements {
            self.budget.enter()?;
            flow = self.statement(statement, scope)?;
            self.budget.leave();
            if flow != Flow::Next {
                break;
            }
        }
        self.budget.leave();
        Ok(flow)
    }

    fn statement(&mut self, statement: &'t Statement, scope: usize) -> Result<Flow> {
        match statement {
            Statement::Text(text) => self.write(text)?,
            Statement::Print(expr) => {
                let value = self.evaluate(expr, scope)?;
                self.write_value(&value).map_err(|error| error.at(expr.line))?;
            }
            Statement::For(statement) => self.for_statement(statement, scope)?,
            Statement::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.evaluate(condition, scope)?.is_true() {
                        return self.run_branch(body, scope);
                    }
                }
                return self.run_branch(otherwise, scope);
            }
            Statement::Set(target, expr) => {
                let value = self.evaluate(expr, scope)?;
                self.assign(target, value, scope).map_err(|error| error.at(expr.line))?;
            }
            Statement::SetBlock { target, filters, body } => {
                let text = self.captured_in_new_scope(body, scope)?;
                let value = self.filtered(Value::str(text), filters, scope)?;
                self.assign(target, value, scope)?;
            }
            Statement::With { assignments, body } => {
                let inner = self.scopes.open(scope);
                for (target, expr) in assignments {
                    let value = self.evaluate(expr, scope)?;
                    self.assign(target, value, inner).map_err(|error| error.at(expr.line))?;
                }
                let flow = self.run(body, inner)?;
                self.close(inner)?;
                return Ok(flow);
            }
            Statement::Block(body) => {
                let inner = self.scopes.open(0);
                self.run(body, inner)?;
                self.close(inner)?;
            }
            Statement::Filter { filters, body } => {
                let text = self.captured_in_new_scope(body, scope)?;
                let value = self.filtered(Value::str(text), filters, scope)?;
                if value.as_str().is_none() {
                    return Err(Error::new(format!("a filter block became a {}, not a string", value.type_name())));
                }
                self.write_value(&value)?;
            }
            Statement::Macro(name, definition) => {
                let value = self.define(definition, scope);
                self.scopes.assign(scope, name, value)?;
            }
            Statement::Call { call, body } => {
                let caller = self.define(body, scope);
                let value = self.call_expression(call, Some(caller), scope)?;
                self.write_value(&value)?;
            }
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn run_branch(&mut self, body: &'t [Statement], scope: usize) -> Result<Flow> {
        self.scopes.branches += 1;
        let flow = self.run(body, scope);
        self.scopes.branches -= 1;
        flow
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.budget.take(text.len())?;
        if let Some(output) = self.output.last_mut() {
            output.push_str(text);
        }
        Ok(())
    }

    fn write_value(&mut self, value: &Value) -> Result<()> {
        let text = to_str(&self.budget, value)?;
        self.write(&text)
    }

    /// What a body prints.
    fn captured(&mut self, body: &'t [Statement], scope: usize) -> Result<String> {
        self.output.push(String::new());
        self.run(body, scope)?;
        Ok(self.output.pop().unwrap_or_default())
    }

    fn captured_in_new_scope(&mut self, body: &'t [Statement], scope: usize) -> Result<String> {
        let inner = self.scopes.open(scope);
        let text = self.captured(body, inner)?;
        self.close(inner)?;
        Ok(text)
    }

    /// Forgets a scope and those within it, unless a macro may still see them.
    fn close(&mut self, scope: usize) -> Result<()> {
        let is_seen = self.macros.last().is_some_and(|(_, seen)| *seen >= scope)
            || self.loops.last().is_some_and(|(_, seen)| *seen >= scope);
        if is_seen {
            return self.budget.take(KEPT_SCOPE);
        }
        self.scopes.truncate(scope);
        Ok(())
    }

    fn define(&mut self, definition: &'t Macro, scope: usize) -> Value {
        self.macros.push((definition, scope));
        Value::Macro(self.macros.len() - 1)
    }

    fn assign(&mut self, target: &Target, value: Value, scope: usize) -> Result<()> {
        match target {
            Target::Name(name) => self.scopes.assign(scope, name, value)?,
            Target::Attribute(name, attribute) => match self.scopes.get(scope, name) {
                Some(Value::Namespace(namespace)) => {
                    if value.reaches_namespace() {
                        return Err(Error::unsupported("a namespace or loop within a namespace"));
                    }
                    let mut entries = lock(&namespace.entries);
                    match entries.iter_mut().find(|(known, _)| known == attribute) {
                        Some(entry) => entry.1 = value,
                        None => entries.push((attribute.clone(), value)),
                    }
                }
                _ => return Err(Error::new(format!("`{name}` is no namespace: its attributes cannot be assigned to"))),
            },
            Target::Tuple(targets) => {
                let values = value
                    .iterate()
                    .map_err(|_| Error::new(format!("cannot unpack non-iterable {} object", value.type_name())))?;
                if values.len() != targets.len() {
                    return Err(Error::new(format!(
                        "expected {} values to unpack, got {}",
                        targets.len(),
                        values.len()
                    )));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value, scope)?;
                }
            }
        }
        Ok(())
    }

    fn for_statement(&mut self, statement: &'t For, scope: usize) -> Result<()> {
        let over = self.evaluate(&statement.over, scope)?;
        let over = match (&statement.over.kind, &over) {
            (ExprKind::Name(name), Value::None) if NONE_IS_EMPTY.contains(&name.as_str()) => Vec::new(),
            _ => items(&self.budget, &over).map_err(|error| error.at(statement.over.line))?,
        };
        let recursive = statement.recursive.then(|| {
            self.loops.push((statement, scope));
            self.loops.len() - 1
        });
        self.run_loop(statement, over, 0, recursive, scope)
    }

    fn run_loop(
        &mut self,
        statement: &'t For,
        over: Vec<Value>,
        depth: usize,
        recursive: Option<usize>,
        scope: usize,
    ) -> Result<()> {
        let items = self.passing(statement, over, scope)?;
        if items.is_empty() {
            let inner = self.scopes.open(scope);
            self.run(&statement.otherwise, inner)?;
            self.close(inner)?;
            return Ok(());
        }
        let state = Loop { items, index: AtomicUsize::new(0), depth, changed: Mutex::new(None), recursive };
        let state = Arc::new(state);
        for (index, item) in state.items.iter().enumerate() {
            state.index.store(index, Ordering::Relaxed);
            let inner = self.scopes.open(scope);
            self.scopes.set(inner, "loop", Value::Loop(Arc::clone(&state)));
            self.assign(&statement.target, item.clone(), inner).map_err(|error| error.at(statement.over.line))?;
            let flow = self.run(&statement.body, inner)?;
            self.close(inner)?;
            if flow == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    /// The items that pass a loop's condition.
    fn passing(&mut self, statement: &'t For, items: Vec<Value>, scope: usize) -> Result<Vec<Value>> {
        let Some(condition) = &statement.condition else { return Ok(items) };
        let mut passing = Vec::new();
        for item in items {
            let inner = self.scopes.open(scope);
            self.assign(&statement.target, item.clone(), inner).map_err(|error| error.at(statement.over.line))?;
            if self.evaluate(condition, inner)?.is_true() {
                passing.push(item);
            }
            self.close(inner)?;
        }
        Ok(passing)
    }

    /// A value after filters.
    fn filtered(&mut self, mut value: Value, filters: &'t [FilterCall], scope: usize) -> Result<Value> {
        for filter in filters {
            value = self.filter(value, filter, scope)?;
        }
        Ok(value)
    }

    fn filter(&mut self, value: Value, filter: &'t FilterCall, scope: usize) -> Result<Value> {
        let arguments = self.arguments(&filter.arguments, scope)?;
        crate::filters::apply(&self.budget, &filter.name, value, arguments).map_err(|error| error.at(filter.line))
    }

    /// The arguments of a call.
    fn arguments(&mut self, written: &'t [Argument], scope: usize) -> Result<crate::arguments::Arguments> {
        let mut arguments = crate::arguments::Arguments::default();
        for argument in written {
            match argument {
                Argument::Positional(expr) => arguments.positional.push(self.evaluate(expr, scope)?),
                Argument::Named(name, expr) => arguments.named.push((name.clone(), self.evaluate(expr, scope)?)),
                Argument::Unpacked(expr) => {
                    let values = self.evaluate(expr, scope)?;
                    arguments.positional.extend(items(&self.budget, &values).map_err(|error| error.at(expr.line))?);
                }
                Argument::UnpackedNamed(expr) => {
                    let Value::Dict(dict) = self.evaluate(expr, scope)? else {
                        return Err(Error::new("expected a mapping after `**`").at(expr.line));
                    };
                    for (key, value) in &dict.entries {
                        let name = key.as_str().ok_or_else(|| Error::new("keywords must be strings").at(expr.line))?;
                        arguments.named.push((name.to_owned(), value.clone()));
                    }
                }
            }
        }
        Ok(arguments)
    }
}
