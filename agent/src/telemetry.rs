//! Every counter of the agent in one table.
