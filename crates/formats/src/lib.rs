//! Datasets in the layouts of other tools.
