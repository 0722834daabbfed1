//! Variables, and which of them a place of the template sees.

use std::cell::RefCell;

use crate::error::{Error, Result};
use crate::value::Value;

/// Scopes by number; each but the first, which has the template's variables, is within another.
pub(super) struct Scopes {
    scopes: Vec<Scope>,
    /// How many branches of conditions are around the current place.
    pub(super) branches: usize,
    /// How many of the first scope's variables the template was given, and has not set itself.
    n_given: usize,
}

struct Scope {
    parent: Option<usize>,
    variables: Vec<(String, Value)>,
    /// The branches around the scope.
    branches: usize,
    /// Given variables that were read through this scope, each with whether it was read in the scope itself.
    read: RefCell<Vec<(String, bool)>>,
}

impl Scopes {
    pub(super) fn new(given: Vec<(String, Value)>) -> Self {
        let mut scopes = Self { scopes: Vec::new(), branches: 0, n_given: given.len() };
        scopes.push(None);
        scopes.scopes[0].variables = given;
        scopes
    }

    fn push(&mut self, parent: Option<usize>) {
        let (variables, read) = (Vec::new(), RefCell::default());
        self.scopes.push(Scope { parent, variables, branches: self.branches, read });
    }

    /// A new scope within another.
    pub(super) fn open(&mut self, parent: usize) -> usize {
        self.push(Some(parent));
        self.scopes.len() - 1
    }

    /// Forgets a scope and all later ones.
    pub(super) fn truncate(&mut self, scope: usize) {
        self.scopes.truncate(scope);
    }

    /// Sets a variable of a scope.
    pub(super) fn set(&mut self, scope: usize, name: &str, value: Value) {
        let variables = &mut self.scopes[scope].variables;
        if let Some(place) = variables.iter().position(|(known, _)| known == name) {
            if scope > 0 || place >= self.n_given {
                variables[place].1 = value;
                return;
            }
            variables.remove(place);
            self.n_given -= 1;
        }
        variables.push((name.to_owned(), value));
    }

    /// Sets a variable as `set` and `macro` do.
    ///
    /// Errors: where inner scopes have read a given variable of this name before, and the scope itself has not. Jinja2
    /// decides before it renders, and has them see the scope's own variable, which was undefined.
    pub(super) fn assign(&mut self, scope: usize, name: &str, value: Value) -> Result<()> {
        let place = &self.scopes[scope];
        let is_conditional = self.branches > place.branches;
        if !is_conditional && place.read.borrow().iter().any(|(read, itself)| read == name && !itself) {
            return Err(Error::unsupported(format!("setting `{name}`, which an inner block has read before,")));
        }
        self.set(scope, name, value);
        Ok(())
    }

    /// A variable that a scope sees.
    pub(super) fn get(&self, scope: usize, name: &str) -> Option<Value> {
        let mut place = scope;
        loop {
            let variables = &self.scopes[place].variables;
            if let Some(found) = variables.iter().position(|(known, _)| known == name) {
                if place == 0 && found < self.n_given {
                    self.note(scope, name);
                }
                return Some(variables[found].1.clone());
            }
            place = self.scopes[place].parent?;
        }
    }

    /// Notes that a given variable was read.
    fn note(&self, scope: usize, name: &str) {
        let mut place = Some(scope);
        while let Some(at) = place {
            let mut read = self.scopes[at].read.borrow_mut();
            match read.iter_mut().find(|(known, _)| known == name) {
                Some(known) => known.1 |= at == scope,
                None => read.push((name.to_owned(), at == scope)),
            }
            place = self.scopes[at].parent;
        }
    }
}
