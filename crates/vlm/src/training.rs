//! Views of a model that can be trained, and parameters and gradients by name.
//!
//! A view shares the model's weights; those to be trained become leaves of the view's own autodiff graph, the rest stay
//! constants. So several threads may each make a view and run forward and backward on their part of a batch at the same
//! time without a shared graph; their gradients are added up by name afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Gradients, Tensor};

use crate::error::Error;
use crate::model::Vlm;
use crate::parameter::{ParameterGroup, Parameters};

/// Values or gradients of parameters, flat, by the checkpoint's key.
pub type NamedValues = BTreeMap<String, Tensor<1>>;

impl Vlm {
    /// A view in which the parameters of `groups` are fresh leaves that collect gradients, and all others constants.
    #[must_use]
    pub fn training_view(&self, groups: &[ParameterGroup]) -> Self {
        let mut view = self.clone();
        view.visit_parameters(&mut |parameter| {
            if groups.contains(&parameter.group()) {
                parameter.track();
            } else {
                parameter.freeze();
            }
        });
        view
    }

    /// A view whose adapters drop a share `rate` of their inputs' values; a row's mask follows from its key
    /// ([`crate::batch::Batch::row_keys`]) and the layer's name alone, the same in each pass.
    #[must_use]
    pub fn with_lora_dropout(mut self, rate: f64, row_keys: &Arc<[u64]>) -> Self {
        self.visit_linears(&mut |linear| {
            if let Some(adapter) = &mut linear.adapter {
                adapter.set_dropout(rate, row_keys);
            }
        });
        self
    }

    /// The values of all parameters of `groups`.
    pub fn parameters(&self, groups: &[ParameterGroup]) -> NamedValues {
        let mut values = NamedValues::new();
        self.clone().visit_parameters(&mut |parameter| {
            if groups.contains(&parameter.group()) {
                values.insert(parameter.name().to_owned(), parameter.flat());
            }
        });
        values
    }

    /// The gradients that a backward pass through this view left. Parameters that had no part in the loss are absent.
    pub fn named_gradients(&self, mut gradients: Gradients) -> NamedValues {
        let mut named = NamedValues::new();
        self.clone().visit_parameters(&mut |parameter| {
            if let Some(gradient) = parameter.take_gradient(&mut gradients) {
                named.insert(parameter.name().to_owned(), gradient);
            }
        });
        named
    }

    /// Replaces the values of the parameters named.
    ///
    /// Errors: `Input` when the model has no such parameter, or one of another length.
    pub fn set_parameters(&mut self, mut values: NamedValues) -> Result<(), Error> {
        let mut result = Ok(());
        self.visit_parameters(&mut |parameter| {
            if let (Ok(()), Some(value)) = (&result, values.remove(parameter.name())) {
                result = parameter.set(value);
            }
        });
        result?;
        match values.keys().next() {
            Some(name) => Err(Error::Input(format!("the model has no parameter `{name}`"))),
            None => Ok(()),
        }
    }
}

/// Adds up gradients of parts of a batch, always in the order given, so that the sum does not depend on which thread
/// finished first.
pub fn sum_gradients(parts: impl IntoIterator<Item = NamedValues>) -> NamedValues {
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_default();
    for part in parts {
        for (name, gradient) in part {
            let sum = match total.remove(&name) {
                Some(before) => before + gradient,
                None => gradient,
            };
            total.insert(name, sum);
        }
    }
    total
}
