//! Conversations in, exchanges out: the room read as a specification.
mod bounds;
mod duplex;
mod fixtures;
mod hostile;
mod kernel;
mod model;
mod multiplex;
mod volumes;
mod walker;
mod wire;
