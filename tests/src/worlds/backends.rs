//! What users send spans to: the files of deploy/backends, run, and their back ends asked what they got.
//!
//! These worlds run only when named (`cargo xtask e2e backends`): Jaeger and the Collector's components take minutes to build.
mod bases;
mod coexist;
mod demo;
mod gateway;
mod shown;

use super::scenes;
use coexist::{
    an_sdk_in_a_service_keeps_its_client_spans_and_loses_none, proxies_of_a_mesh_are_services_of_the_trace,
    proxies_that_trace_keep_their_own_spans,
};
use demo::{the_demo_comes_up_by_docker_compose, the_demos_compose_file_is_one_that_docker_compose_takes};
use gateway::gateways_keep_every_error_and_a_tenth_of_the_rest_whole;
use shown::{
    a_sidecar_collector_hands_on_what_the_agent_says, jaeger_shows_a_checkout_whole,
    the_agent_takes_its_part_of_every_example, zipkin_shows_a_checkout_whole,
};

scenes! { "backends":
    the_agent_takes_its_part_of_every_example,
    the_demos_compose_file_is_one_that_docker_compose_takes,
    a_sidecar_collector_hands_on_what_the_agent_says,
    gateways_keep_every_error_and_a_tenth_of_the_rest_whole,
    proxies_of_a_mesh_are_services_of_the_trace,
    proxies_that_trace_keep_their_own_spans,
    an_sdk_in_a_service_keeps_its_client_spans_and_loses_none,
    zipkin_shows_a_checkout_whole,
    jaeger_shows_a_checkout_whole,
    the_demo_comes_up_by_docker_compose,
}
