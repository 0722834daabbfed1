//! The objects' drawings, by theme: each a function from nothing to shapes on the 100 x 100 grid, back to front.

pub(super) mod bottles;
pub(super) mod electric;
pub(super) mod fire;
pub(super) mod flammable;
pub(super) mod food;
pub(super) mod home;
pub(super) mod living;
pub(super) mod tools;
pub(super) mod water;
