//! What an engine says of a container, as far as it names something.
//!
//! Shape: the answer of `GET /containers/<id>/json` → [`Named`]. Source: Docker Engine API, `ContainerInspect`, which Podman serves too;
//! the labels of Compose and Swarm. Not here: the container's environment and command: they may hold secrets.
use serde::{Deserialize, Serialize};

/// Characters kept of each name.
const CHARS: usize = 255;

/// Names of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// `--name`, or what the engine made up.
    pub name: Option<String>,
    /// Repository of the image, without tag and digest.
    pub image: Option<String>,
    /// Tag by which the image was chosen.
    pub tag: Option<String>,
    /// Service of Compose or Swarm.
    pub service: Option<String>,
    /// Project of Compose, stack of Swarm.
    pub project: Option<String>,
}

impl Named {
    /// Reads an engine's answer; `None`: it is none.
    pub(super) fn read(json: &[u8]) -> Option<Named> {
        let inspect: Inspect = serde_json::from_slice(json).ok()?;
        let (image, tag) = image(&inspect.config.image, &inspect.image).unzip();
        let labels = inspect.config.labels.unwrap_or_default();
        let project = labels.compose_project.or(labels.stack);
        // Swarm puts the stack before the service.
        let of_stack = labels.swarm_service.map(|service| {
            let inner = project.as_deref().and_then(|stack| service.strip_prefix(stack)?.strip_prefix('_'));
            inner.map(str::to_owned).unwrap_or(service)
        });
        Some(Named {
            name: kept(inspect.name.trim_start_matches('/')),
            image: image.and_then(|image| kept(&image)),
            tag: tag.flatten().and_then(|tag| kept(&tag)),
            service: labels.compose_service.or(of_stack).and_then(|service| kept(&service)),
            project: project.and_then(|project| kept(&project)),
        })
    }

    /// The last part of the image's name: `cart` of `registry.example/shop/cart`.
    pub(in crate::enrich) fn image_stem(&self) -> Option<&str> {
        self.image.as_deref()?.rsplit('/').next()
    }
}

/// The parts of the answer that are read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspect {
    #[serde(default)]
    name: String,
    /// Id of the image.
    #[serde(default)]
    image: String,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    /// The image as it was asked for.
    #[serde(default)]
    image: String,
    labels: Option<Labels>,
}

#[derive(Default, Deserialize)]
struct Labels {
    #[serde(rename = "com.docker.compose.project")]
    compose_project: Option<String>,
    #[serde(rename = "com.docker.compose.service")]
    compose_service: Option<String>,
    #[serde(rename = "com.docker.stack.namespace")]
    stack: Option<String>,
    #[serde(rename = "com.docker.swarm.service.name")]
    swarm_service: Option<String>,
}

/// Repository and tag of `host:port/path/name:tag@digest`. An image that was asked for by its id has neither; without tag and digest
/// the engine takes `latest`.
fn image(asked: &str, id: &str) -> Option<(String, Option<String>)> {
    let hash = id.strip_prefix("sha256:").unwrap_or(id);
    let by_id = asked.strip_prefix("sha256:").unwrap_or(asked);
    if by_id.is_empty() || hash.starts_with(by_id) {
        return None;
    }
    let (name, digest) = asked.split_once('@').map_or((asked, None), |(name, digest)| (name, Some(digest)));
    match name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((name, tag)) => Some((name.to_owned(), Some(tag.to_owned()))),
        None => Some((name.to_owned(), digest.is_none().then(|| "latest".to_owned()))),
    }
}

fn kept(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).take(CHARS).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "sha256:8b9f3a1c2d4e5f60718293a4b5c6d7e8f9a0b1c2d3e4f5061728394a5b6c7d8e";

    #[test]
    fn a_container_of_compose_is_named_by_its_labels() {
        let answer = r#"{"Id":"3f","Name":"/shop-cart-1","Image":"sha256:8b9f","State":{"Pid":7},"Config":{"Image":"shop/cart:1.2",
            "Env":["TOKEN=t"],"Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"cart","a":"b"}}}"#;
        let named = Named::read(answer.as_bytes()).unwrap();
        assert_eq!(named.name.as_deref(), Some("shop-cart-1"));
        assert_eq!((named.image.as_deref(), named.tag.as_deref()), (Some("shop/cart"), Some("1.2")));
        assert_eq!((named.project.as_deref(), named.service.as_deref()), (Some("shop"), Some("cart")));
        assert_eq!(named.image_stem(), Some("cart"));
    }

    #[test]
    fn a_service_of_swarm_is_named_without_its_stack() {
        let answer = r#"{"Name":"/web_api.1.x","Config":{"Image":"api","Labels":{"com.docker.stack.namespace":"web",
            "com.docker.swarm.service.name":"web_api"}}}"#;
        let named = Named::read(answer.as_bytes()).unwrap();
        assert_eq!((named.project.as_deref(), named.service.as_deref()), (Some("web"), Some("api")));
    }

    #[test]
    fn an_image_is_a_repository_and_a_tag_unless_it_was_chosen_by_its_id_or_digest() {
        let rows = [
            ("shop/cart:1.2", Some(("shop/cart", Some("1.2")))),
            ("cart", Some(("cart", Some("latest")))),
            ("localhost:5000/shop/cart", Some(("localhost:5000/shop/cart", Some("latest")))),
            ("localhost:5000/shop/cart:v1", Some(("localhost:5000/shop/cart", Some("v1")))),
            ("cart@sha256:00ff", Some(("cart", None))),
            ("cart:1@sha256:00ff", Some(("cart", Some("1")))),
            ("beef", Some(("beef", Some("latest")))),
            ("8b9f3a1c2d4e", None),
            (ID, None),
            ("", None),
        ];
        for (asked, expected) in rows {
            let expected = expected.map(|(name, tag)| (name.to_owned(), tag.map(str::to_owned)));
            assert_eq!(image(asked, ID), expected, "{asked}");
        }
    }

    #[test]
    fn an_answer_without_labels_or_that_is_none_is_read_or_refused() {
        let bare = Named::read(br#"{"Name":"/x","Config":{"Labels":null}}"#).unwrap();
        assert_eq!(bare, Named { name: Some("x".into()), ..Named::default() });
        for answer in ["", "{}", "[]", r#"{"message":"No such container: 3f"}"#, r#"{"Config":{"Labels":7}}"#]
        {
            assert_eq!(Named::read(answer.as_bytes()), None, "{answer}");
        }
    }
}
