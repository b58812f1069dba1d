//! HTTP/1 through servers that nobody prepared.
use super::scenes;
use crate::{expect::server, http::Connection, world::World};
use anyhow::{Result, ensure};

scenes! { "http":
    a_request_to_python_is_a_server_span,
}

fn a_request_to_python_is_a_server_span(world: &mut World) -> Result<()> {
    std::fs::write(world.scratch().join("a.txt"), "hello")?;
    let folder = world.scratch().to_path_buf();
    let app = world.python_http_server(&folder)?;
    let agent = world.observe(app)?;
    let response = Connection::open(app.address())?.get("/a.txt", &[])?;
    ensure!(response.status == 200 && response.body == b"hello", "python answered {response:?}");
    agent.expect(&server("GET").path("/a.txt").status(200).root())?;
    Ok(())
}
