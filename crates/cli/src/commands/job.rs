//! The one path of the commands that make something of data with models.
//!
//! Settings come first: a command loads and checks them, and makes a [`Job`] of them. [`run`] takes it from there.

use crate::context::Context;
use crate::errors::Result;
use crate::output_folder::OutputFolder;

/// What a command does, step by step.
pub trait Job {
    /// What the results are made of.
    type Data;
    /// The models that take part, judges included.
    type Models;
    /// What comes out.
    type Product;

    /// What came out of an earlier call with the same settings, where that came to its end. Nothing is touched. Work
    /// whose answers are in a journal is done again, since that makes no call: nothing counts as finished there.
    ///
    /// Errors: of settings where the results of other settings are there.
    fn finished(&self) -> Result<Option<Self::Product>> {
        Ok(None)
    }

    /// Reads the data and validates them. Nothing is written, and no weights are loaded.
    fn data(&self) -> Result<Self::Data>;

    /// Makes the folder for results; where a training starts over, removes what an earlier call left there.
    fn folder(&self, data: &Self::Data, context: &Context) -> Result<OutputFolder>;

    /// Opens the models. One that cannot be used leaves nothing behind that a later call would be held to.
    fn models(&self, context: &Context) -> Result<Self::Models>;

    /// Does the work, from where an earlier call stopped, and writes the results.
    fn work(&self, data: Self::Data, models: Self::Models, context: &mut Context) -> Result<Self::Product>;
}

/// Runs a job, unless it was done before.
///
/// Errors: those of its steps; nothing is touched before its data are validated.
pub fn run<J: Job>(job: &J, context: &mut Context) -> Result<J::Product> {
    if let Some(product) = job.finished()? {
        return Ok(product);
    }
    let data = job.data()?;
    // Made before the work begins, so that a folder that cannot be written is reported at once.
    let _folder = job.folder(&data, context)?;
    let models = job.models(context)?;
    job.work(data, models, context)
}
