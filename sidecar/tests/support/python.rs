//! Peers that exist in Python only: the reference gRPC implementation's wrapper, and a WebSocket library.

use std::net::TcpStream;

use super::process::{folder, peer};
use super::{Process, output_of};

/// A gRPC server; see `python/grpc_server.py` for its methods.
pub(crate) struct GrpcServer {
    process: Process,
}

impl GrpcServer {
    /// Listens on `address` (h2c) and calls itself `name` in its answers.
    pub(crate) fn start(name: &str, address: &str) -> GrpcServer {
        GrpcServer { process: serve(name, "grpc_server.py", &[address, name], address) }
    }

    /// The process, to kill or to stall.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Runs the gRPC client with one channel to `address`; see `python/grpc_client.py` for `arguments` and what it prints.
pub(crate) fn grpc_client(address: &str, arguments: &[&str]) -> String {
    client("grpc_client.py", address, arguments)
}

/// Starts a gRPC client whose one call exchanges `messages` messages; returns once it has begun.
pub(crate) fn grpc_chat(address: &str, messages: &str) -> Process {
    let mut command = peer(&python());
    command.arg(path("grpc_client.py")).args([address, "chat", messages]);
    let mut process = Process::start("gRPC client", folder(), command);
    process.wait_for_output("begun");
    process
}

/// Starts a gRPC client that goes on until it is terminated: `calls` or `streams`, see `python/grpc_client.py`.
pub(crate) fn grpc_load(address: &str, command: &str) -> Process {
    load("grpc_client.py", address, command)
}

/// The same for WebSockets, one connection after the other; see `python/websocket_client.py`.
pub(crate) fn websocket_load(url: &str) -> Process {
    load("websocket_client.py", url, "streams")
}

fn load(script: &str, target: &str, command: &str) -> Process {
    let mut program = peer(&python());
    program.arg(path(script)).args([target, command]);
    Process::start(format!("{script} {command}"), folder(), program)
}

/// A WebSocket server that sends every message back.
pub(crate) struct WebSocketServer {
    process: Process,
}

impl WebSocketServer {
    /// Listens on `host`:`port`.
    pub(crate) fn start(host: &str, port: u16) -> WebSocketServer {
        let arguments = [host, &port.to_string()];
        WebSocketServer {
            process: serve("websocket", "websocket_server.py", &arguments, &format!("{host}:{port}")),
        }
    }

    /// The same; it says `name` first on each connection.
    pub(crate) fn named(name: &str, host: &str, port: u16) -> WebSocketServer {
        let arguments = [host, &port.to_string(), name];
        WebSocketServer { process: serve(name, "websocket_server.py", &arguments, &format!("{host}:{port}")) }
    }

    /// The process, to kill or to stall.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Sends messages to a WebSocket server at `url` and says how many came back; see `python/websocket_client.py`.
pub(crate) fn websocket_client(url: &str, arguments: &[&str]) -> String {
    client("websocket_client.py", url, arguments)
}

fn serve(name: &str, script: &str, arguments: &[&str], address: &str) -> Process {
    let mut command = peer(&python());
    command.arg(path(script)).args(arguments);
    let mut process = Process::start(name, folder(), command);
    process.ready(|| TcpStream::connect(address).ok());
    process
}

fn client(script: &str, target: &str, arguments: &[&str]) -> String {
    let script = path(script);
    // coreutils' timeout: the life of every client is bounded, also when the proxy under test never answers.
    output_of("timeout", &[&["60", &python(), &script, target], arguments].concat()).trim_end().to_owned()
}

fn path(script: &str) -> String {
    format!("{}/tests/support/python/{script}", env!("CARGO_MANIFEST_DIR"))
}

/// The Python that has their packages.
#[expect(clippy::disallowed_methods, reason = "xtask says here which Python has the packages")]
pub(crate) fn python() -> String {
    std::env::var("SVCMESH_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}
