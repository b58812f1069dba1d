//! The opt-in: may a pod's processes be looked at?
//!
//! Shape: the namespace's label and the pod's → [`Answer`]. The pod's word counts for more than its namespace's; a value that is
//! neither of the two is as good as none.
use std::fmt;

/// The key of both labels.
pub const LABEL: &str = "wirespan.io/trace";

/// What is said by a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// `enabled`.
    Yes,
    /// `disabled`.
    No,
}

impl Said {
    /// A label's value. Anything else says nothing.
    pub(super) fn of(value: &str) -> Option<Said> {
        match value {
            "enabled" => Some(Said::Yes),
            "disabled" => Some(Said::No),
            _ => None,
        }
    }

    /// As it stands in the label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Said::Yes => "enabled",
            Said::No => "disabled",
        }
    }
}

/// Who asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The namespace's label.
    Namespace,
    /// The pod's label.
    Pod,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// Neither label asks for it.
    NotLabelled,
    /// The pod's label refuses it.
    PodSays,
    /// It runs in no pod.
    NotInPod,
    /// The API server has not told of its pod yet, or no longer does.
    PodUnknown,
}

/// May it be looked at?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may.
    Yes(By),
    /// It may not.
    No(No),
}

/// The rule.
pub(super) fn answer(namespace_is_labelled: bool, pod: Option<Said>) -> Answer {
    match (pod, namespace_is_labelled) {
        (Some(Said::Yes), _) => Answer::Yes(By::Pod),
        (Some(Said::No), _) => Answer::No(No::PodSays),
        (None, true) => Answer::Yes(By::Namespace),
        (None, false) => Answer::No(No::NotLabelled),
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::Namespace => write!(f, "its namespace is labelled {LABEL}=enabled"),
            By::Pod => write!(f, "its pod is labelled {LABEL}=enabled"),
        }
    }
}

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            No::NotLabelled => write!(f, "neither its namespace nor its pod is labelled {LABEL}=enabled"),
            No::PodSays => write!(f, "its pod is labelled {LABEL}=disabled"),
            No::NotInPod => {
                f.write_str("it runs in no pod, and in Kubernetes only labelled pods are observed")
            }
            No::PodUnknown => f.write_str("the API server does not know its pod, or has not told of it yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pods_word_counts_for_more_than_its_namespaces() {
        let rows = [
            (true, None, Answer::Yes(By::Namespace)),
            (false, None, Answer::No(No::NotLabelled)),
            (true, Some("enabled"), Answer::Yes(By::Pod)),
            (false, Some("enabled"), Answer::Yes(By::Pod)),
            (true, Some("disabled"), Answer::No(No::PodSays)),
            (false, Some("disabled"), Answer::No(No::PodSays)),
            (true, Some("true"), Answer::Yes(By::Namespace)),
            (false, Some("Enabled"), Answer::No(No::NotLabelled)),
            (false, Some(""), Answer::No(No::NotLabelled)),
        ];
        for (namespace, pod, expected) in rows {
            assert_eq!(answer(namespace, pod.and_then(Said::of)), expected, "{namespace} {pod:?}");
        }
    }
}
