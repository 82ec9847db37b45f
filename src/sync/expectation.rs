//! The relation of a run to a plan that was made before.

use std::sync::Arc;

use crate::object::ObjectId;
use crate::saved_plan::facts::PlanFacts;

/// The relation of a run to a plan that was made before.
#[derive(Clone, Default)]
pub(crate) enum Expectation {
    /// There is no such plan.
    #[default]
    Nothing,
    /// The facts of the run's plan are a part of the outcome, so that it can be saved.
    Keep,
    /// The run publishes nothing unless its first plan has this id.
    Id(ObjectId),
    /// The run publishes nothing unless every plan that it makes has these facts.
    Plan(Arc<PlanFacts>),
}
