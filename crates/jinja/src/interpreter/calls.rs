//! Calls: of macros, functions, methods and recursive loops.

use std::sync::{Arc, Mutex};

use super::Interpreter;
use crate::arguments::Arguments;
use crate::clock::format_now;
use crate::error::{Error, Result};
use crate::methods::call_method;
use crate::syntax::{Expr, ExprKind, MENTIONED};
use crate::text::to_str;
use crate::value::{Function, Loop, Namespace, Value, ViewKind};

/// The largest range that Jinja2's sandbox allows.
const MAX_RANGE: usize = 100_000;

impl<'t> Interpreter<'t> {
    /// A call, with the `caller` of a `call` block.
    pub(super) fn call_expression(&mut self, expr: &'t Expr, caller: Option<Value>, scope: usize) -> Result<Value> {
        let ExprKind::Call(of, arguments) = &expr.kind else { return Err(Error::new("expected a call").at(expr.line)) };
        let of = self.evaluate(of, scope)?;
        let mut arguments = self.arguments(arguments, scope)?;
        arguments.named.extend(caller.map(|caller| ("caller".to_owned(), caller)));
        self.call(&of, arguments).map_err(|error| error.at(expr.line))
    }

    fn call(&mut self, of: &Value, arguments: Arguments) -> Result<Value> {
        self.budget.enter()?;
        let value = match of {
            Value::Macro(number) => self.call_macro(*number, arguments),
            Value::Method(method) => call_method(&self.budget, &method.0, &method.1, arguments),
            Value::Function(function) => self.call_function(*function, arguments),
            Value::Loop(state) => self.call_loop(state, arguments),
            Value::Undefined(message) => Err(Error::new(&**message)),
            other => Err(Error::new(format!("'{}' object is not callable", other.type_name()))),
        }?;
        self.budget.leave();
        Ok(value)
    }

    fn call_macro(&mut self, number: usize, mut arguments: Arguments) -> Result<Value> {
        let (definition, outer) = self.macros[number];
        let inner = self.scopes.open(outer);
        let n_given = arguments.positional.len().min(definition.parameters.len());
        let surplus = arguments.positional.split_off(n_given);
        for ((name, _), value) in definition.parameters.iter().zip(arguments.positional) {
            self.scopes.set(inner, name, value);
        }
        let mut named = arguments.named;
        for (name, default) in &definition.parameters[n_given..] {
            let value = match (named.iter().position(|(given, _)| given == name), default) {
                (Some(place), _) => named.remove(place).1,
                (None, Some(default)) => self.evaluate(default, inner)?,
                (None, None) => Value::undefined(format!("parameter '{name}' was not provided")),
            };
            self.scopes.set(inner, name, value);
        }
        let [varargs, kwargs, caller] = definition.mentions;
        let name = &definition.name;
        if caller {
            let place = named.iter().position(|(given, _)| given == "caller");
            let caller = place.map_or_else(|| Value::undefined("No caller defined"), |place| named.remove(place).1);
            self.scopes.set(inner, MENTIONED[2], caller);
        }
        match named.first() {
            _ if kwargs => {
                let entries = named.into_iter().map(|(name, value)| (Value::str(name), value)).collect();
                self.scopes.set(inner, MENTIONED[1], Value::dict(entries)?);
            }
            Some((given, _)) => return Err(Error::new(format!("macro '{name}' takes no keyword argument '{given}'"))),
            None => {}
        }
        if varargs {
            self.scopes.set(inner, MENTIONED[0], Value::tuple(surplus)?);
        } else if !surplus.is_empty() {
            let n_parameters = definition.parameters.len();
            return Err(Error::new(format!("macro '{name}' takes not more than {n_parameters} argument(s)")));
        }
        let text = self.captured(&definition.body, inner)?;
        self.close(inner)?;
        Ok(Value::str(text))
    }

    /// `loop(items)`: the loop around, over other items.
    fn call_loop(&mut self, state: &Arc<Loop>, arguments: Arguments) -> Result<Value> {
        let [items] = arguments.bind("loop", ["iterable"], 1)?;
        let Some(number) = state.recursive else {
            return Err(Error::new("the loop must have the `recursive` marker to be called"));
        };
        let (statement, scope) = self.loops[number];
        let items = crate::filters::items(&self.budget, &items.unwrap_or(Value::None))?;
        self.output.push(String::new());
        self.run_loop(statement, items, state.depth + 1, Some(number), scope)?;
        Ok(Value::str(self.output.pop().unwrap_or_default()))
    }

    fn call_function(&mut self, function: Function, arguments: Arguments) -> Result<Value> {
        match function {
            Function::Range => self.range(arguments),
            Function::Dict => {
                Value::dict(named_over(arguments, "dict")?.into_iter().map(|(k, v)| (Value::str(k), v)).collect())
            }
            Function::Namespace => {
                let entries = named_over(arguments, "namespace")?;
                if entries.iter().any(|(_, value)| value.reaches_namespace()) {
                    return Err(Error::unsupported("a namespace or loop within a namespace"));
                }
                Ok(Value::Namespace(Arc::new(Namespace { entries: Mutex::new(entries) })))
            }
            Function::RaiseException => {
                let [message] = arguments.bind("raise_exception", ["message"], 1)?;
                Err(Error::new(to_str(&self.budget, &message.unwrap_or(Value::None))?))
            }
            Function::StrftimeNow => {
                let [format] = arguments.bind("strftime_now", ["format"], 1)?;
                match format {
                    Some(Value::Str(format)) => Ok(Value::str(format_now(&format))),
                    _ => Err(Error::new("strftime_now: expected a string")),
                }
            }
            Function::Unsupported(name) => Err(Error::unsupported(format!("function `{name}`"))),
        }
    }

    fn range(&mut self, arguments: Arguments) -> Result<Value> {
        let [first, second, third] = arguments.bind("range", ["start", "stop", "step"], 1)?;
        let mut numbers = Vec::new();
        for argument in [first, second, third].into_iter().flatten() {
            match argument {
                Value::Undefined(message) => return Err(Error::new(&*message)),
                other => numbers.push(
                    other
                        .as_int()
                        .ok_or_else(|| Error::new(format!("range: expected an integer, got {}", other.type_name())))?,
                ),
            }
        }
        let (start, stop, step) = match numbers[..] {
            [stop] => (0, stop, 1),
            [start, stop] => (start, stop, 1),
            [start, stop, step, ..] => (start, stop, step),
            [] => (0, 0, 1),
        };
        if step == 0 {
            return Err(Error::new("range: the step must not be zero"));
        }
        let mut items = Vec::new();
        let mut next = start;
        while (step > 0 && next < stop) || (step < 0 && next > stop) {
            if items.len() == MAX_RANGE {
                return Err(Error::new(format!("range too big: the sandbox allows at most {MAX_RANGE} numbers")));
            }
            items.push(Value::Int(next));
            next = next.saturating_add(step);
        }
        self.budget.take_items(items.len())?;
        let text =
            if step == 1 { format!("range({start}, {stop})") } else { format!("range({start}, {stop}, {step})") };
        Value::view(ViewKind::Range(text), items)
    }
}

/// Named arguments, over the entries of a dictionary before them.
fn named_over(arguments: Arguments, of: &str) -> Result<Vec<(String, Value)>> {
    let mut entries: Vec<(String, Value)> = Vec::new();
    let mut all = Vec::new();
    match arguments.positional.as_slice() {
        [] => {}
        [Value::Dict(dict)] => {
            for (key, value) in &dict.entries {
                let name =
                    key.as_str().ok_or_else(|| Error::unsupported(format!("{of} with keys that are no strings")))?;
                all.push((name.to_owned(), value.clone()));
            }
        }
        _ => return Err(Error::unsupported(format!("{of} of anything but a dictionary and named values"))),
    }
    all.extend(arguments.named);
    for (name, value) in all {
        match entries.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => entries.push((name, value)),
        }
    }
    Ok(entries)
}
