//! What an event loop works on: each rule with the case that justifies it.
use super::{check, script::run};
use crate::correlate::Settings;
use expect_test::expect;
