//! The values of expressions.

use super::Interpreter;
use crate::error::{Error, Result};
use crate::lookup::{attribute, item};
use crate::operators::{arithmetic, check_key, compare, equal, signed, slice};
use crate::syntax::{Comparison, Expr, ExprKind};
use crate::text::to_str;
use crate::value::{Function, Value};

/// Functions that every template has.
const GLOBALS: [(&str, Function); 9] = [
    ("range", Function::Range),
    ("dict", Function::Dict),
    ("namespace", Function::Namespace),
    ("raise_exception", Function::RaiseException),
    ("strftime_now", Function::StrftimeNow),
    ("cycler", Function::Unsupported("cycler")),
    ("joiner", Function::Unsupported("joiner")),
    ("lipsum", Function::Unsupported("lipsum")),
    ("super", Function::Unsupported("super")),
];

impl<'t> Interpreter<'t> {
    /// The value of an expression.
    pub(super) fn evaluate(&mut self, expr: &'t Expr, scope: usize) -> Result<Value> {
        self.budget.enter().map_err(|error| error.at(expr.line))?;
        let value = self.value_of(expr, scope).map_err(|error| error.at(expr.line))?;
        self.budget.leave();
        Ok(value)
    }

    fn value_of(&mut self, expr: &'t Expr, scope: usize) -> Result<Value> {
        match &expr.kind {
            ExprKind::Literal(value) => Ok(value.clone()),
            ExprKind::Name(name) => self.variable(name, scope),
            ExprKind::List(items) => Value::list(self.all(items, scope)?),
            ExprKind::Tuple(items) => Value::tuple(self.all(items, scope)?),
            ExprKind::Dict(entries) => self.dictionary(entries, scope),
            ExprKind::Attribute(of, name) => attribute(&self.evaluate(of, scope)?, name),
            ExprKind::Item(of, key) => {
                let (of, key) = (self.evaluate(of, scope)?, self.evaluate(key, scope)?);
                self.budget.take_items(match &of {
                    Value::Dict(dict) => dict.entries.len(),
                    Value::Str(_) => of.size(),
                    _ => 1,
                })?;
                item(&of, &key)
            }
            ExprKind::Slice(of, bounds) => {
                let of = self.evaluate(of, scope)?;
                let mut values = [None, None, None];
                for (value, bound) in values.iter_mut().zip(bounds.iter()) {
                    *value = bound.as_ref().map(|bound| self.evaluate(bound, scope)).transpose()?;
                }
                slice(&self.budget, &of, values)
            }
            ExprKind::Call(..) => self.call_expression(expr, None, scope),
            ExprKind::Filter(of, filter) => {
                let value = self.evaluate(of, scope)?;
                self.filter(value, filter, scope)
            }
            ExprKind::Test { of, name, arguments, negated } => {
                let value = self.evaluate(of, scope)?;
                let arguments = self.arguments(arguments, scope)?;
                Ok(Value::Bool(crate::predicates::passes(&self.budget, name, &value, arguments)? != *negated))
            }
            ExprKind::Not(of) => Ok(Value::Bool(!self.evaluate(of, scope)?.is_true())),
            ExprKind::Negative(of) => signed(&self.evaluate(of, scope)?, true),
            ExprKind::Positive(of) => signed(&self.evaluate(of, scope)?, false),
            ExprKind::And(items) => self.first_that(items, false, scope),
            ExprKind::Or(items) => self.first_that(items, true, scope),
            ExprKind::Arithmetic(first, rest) => {
                let mut value = self.evaluate(first, scope)?;
                for (operator, right) in rest {
                    let right = self.evaluate(right, scope)?;
                    value = arithmetic(&self.budget, *operator, &value, &right)?;
                }
                Ok(value)
            }
            ExprKind::Concat(items) => {
                let mut text = String::new();
                for item in items {
                    let value = self.evaluate(item, scope)?;
                    text.push_str(&to_str(&self.budget, &value)?);
                }
                Ok(Value::str(text))
            }
            ExprKind::Compare(first, rest) => self.comparison(first, rest, scope),
            ExprKind::If { condition, then, otherwise } => {
                match (self.evaluate(condition, scope)?.is_true(), otherwise) {
                    (true, _) => self.evaluate(then, scope),
                    (false, Some(otherwise)) => self.evaluate(otherwise, scope),
                    (false, None) => Ok(Value::undefined("the inline `if` was false and has no `else`")),
                }
            }
        }
    }

    fn variable(&self, name: &str, scope: usize) -> Result<Value> {
        if let Some(value) = self.scopes.get(scope, name) {
            return Ok(value);
        }
        if name == "self" {
            return Err(Error::unsupported("`self`"));
        }
        let global = GLOBALS.iter().find(|(known, _)| *known == name);
        Ok(global.map_or_else(|| Value::undefined(format!("'{name}' is undefined")), |it| Value::Function(it.1)))
    }

    fn all(&mut self, items: &'t [Expr], scope: usize) -> Result<Vec<Value>> {
        items.iter().map(|item| self.evaluate(item, scope)).collect()
    }

    fn dictionary(&mut self, written: &'t [(Expr, Expr)], scope: usize) -> Result<Value> {
        let mut entries: Vec<(Value, Value)> = Vec::with_capacity(written.len());
        for (key, value) in written {
            let (key, value) = (self.evaluate(key, scope)?, self.evaluate(value, scope)?);
            check_key(&key)?;
            self.budget.take_items(entries.len())?;
            match entries.iter_mut().find(|(known, _)| equal(known, &key)) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
        }
        Value::dict(entries)
    }

    /// The first value that is true, or false; else the last.
    fn first_that(&mut self, items: &'t [Expr], wanted: bool, scope: usize) -> Result<Value> {
        let mut value = Value::None;
        for item in items {
            value = self.evaluate(item, scope)?;
            if value.is_true() == wanted {
                break;
            }
        }
        Ok(value)
    }

    /// Comparisons in a row: each of neighbors, up to the first that does not hold.
    fn comparison(&mut self, first: &'t Expr, rest: &'t [(Comparison, Expr)], scope: usize) -> Result<Value> {
        let mut left = self.evaluate(first, scope)?;
        for (comparison, right) in rest {
            let right = self.evaluate(right, scope)?;
            if !compare(&self.budget, *comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }
}
