//! Variables, and which of them a place of the template sees.

use crate::value::Value;

/// Scopes by number; each but the first is within another.
pub(super) struct Scopes {
    scopes: Vec<Scope>,
}

struct Scope {
    parent: Option<usize>,
    variables: Vec<(String, Value)>,
}

impl Scopes {
    /// The first scope, with the template's variables.
    pub(super) fn new(variables: Vec<(String, Value)>) -> Self {
        Self { scopes: vec![Scope { parent: None, variables }] }
    }

    /// A new scope within another.
    pub(super) fn open(&mut self, parent: usize) -> usize {
        self.scopes.push(Scope { parent: Some(parent), variables: Vec::new() });
        self.scopes.len() - 1
    }

    /// Forgets a scope and all later ones.
    pub(super) fn truncate(&mut self, scope: usize) {
        self.scopes.truncate(scope);
    }

    /// Sets a variable of a scope.
    pub(super) fn set(&mut self, scope: usize, name: &str, value: Value) {
        let variables = &mut self.scopes[scope].variables;
        match variables.iter_mut().find(|(known, _)| known == name) {
            Some(variable) => variable.1 = value,
            None => variables.push((name.to_owned(), value)),
        }
    }

    /// A variable that a scope sees.
    pub(super) fn get(&self, scope: usize, name: &str) -> Option<Value> {
        let mut place = Some(scope);
        while let Some(scope) = place.map(|scope| &self.scopes[scope]) {
            if let Some((_, value)) = scope.variables.iter().find(|(known, _)| known == name) {
                return Some(value.clone());
            }
            place = scope.parent;
        }
        None
    }
}
