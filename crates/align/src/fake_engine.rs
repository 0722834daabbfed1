//! fake_engine
