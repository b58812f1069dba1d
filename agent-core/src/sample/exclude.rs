//! Requests of which no span is wanted, whatever the sampler says: health checks and questions about a service itself.
//!
//! Shape: a call in, whether its path is on the list out. A gRPC call's path is its service and method.
use crate::exchange::Call;

/// Paths; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclude {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// This path.
    Whole(String),
    /// Every path that begins so.
    Start(String),
}

impl Exclude {
    /// From paths; one that ends with `*` stands for all that begin so.
    pub fn new(paths: &[String]) -> Exclude {
        let pattern = |path: &String| match path.strip_suffix('*') {
            Some(start) => Pattern::Start(start.to_owned()),
            None => Pattern::Whole(path.clone()),
        };
        Exclude { patterns: paths.iter().map(pattern).collect() }
    }

    /// Is the path of this call on the list? The query does not matter.
    pub fn matches(&self, call: &Call) -> bool {
        let Call::Http(request) = call;
        let path = request.target.split_once(['?', '#']).map_or(request.target.as_str(), |(path, _)| path);
        self.patterns.iter().any(|pattern| match pattern {
            Pattern::Whole(whole) => path == whole,
            Pattern::Start(start) => path.starts_with(start.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::HttpRequest;

    #[test]
    fn a_path_is_excluded_as_a_whole_or_by_its_start() {
        let list = ["/healthz", "/grpc.health.v1.Health/*"].map(str::to_owned);
        let is_excluded = |target: &str| {
            let request = HttpRequest { target: target.to_owned(), ..HttpRequest::default() };
            Exclude::new(&list).matches(&Call::Http(request))
        };
        for target in
            ["/healthz", "/healthz?verbose", "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/"]
        {
            assert!(is_excluded(target), "{target}");
        }
        for target in ["", "/", "/healthz/", "/healthzz", "/x/healthz", "/grpc.health.v1.Healthy/Check"] {
            assert!(!is_excluded(target), "{target}");
        }
        assert!(!Exclude::default().matches(&Call::Http(HttpRequest::default())));
    }
}
