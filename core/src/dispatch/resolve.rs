//! Which Service port a request is for.

use alloc::sync::Arc;
use core::fmt;

use crate::authority::Authority;
use crate::outcome::Failure;
use crate::table::{Table, Target};

/// What says which Service port a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceRef<'a> {
    /// Its authority.
    Authority(&'a str),
    /// Something beside it, by the port's name.
    Port {
        /// The Service's namespace.
        namespace: &'a str,
        /// The Service's name.
        name: &'a str,
        /// The port clients use.
        port: u16,
    },
}

impl<'a> ServiceRef<'a> {
    /// Reads `namespace/name:port`, else an authority, as routes may have it in their metadata. Whether there is such a Service is for
    /// [`resolve`] to say.
    ///
    /// # Errors
    /// A name without a port, or with one that is none.
    pub fn parse(text: &'a str) -> Result<ServiceRef<'a>, MalformedServiceRef> {
        let Some((namespace, rest)) = text.split_once('/') else { return Ok(ServiceRef::Authority(text)) };
        let (name, port) = rest.split_once(':').ok_or(MalformedServiceRef)?;
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit()); // `parse` takes a sign
        match port.parse() {
            Ok(port @ 1..) if is_number => Ok(ServiceRef::Port { namespace, name, port }),
            Ok(_) | Err(_) => Err(MalformedServiceRef),
        }
    }
}

/// A Service's name without one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedServiceRef;

impl fmt::Display for MalformedServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not `namespace/name:port`, with a port from 1 to 65535")
    }
}

impl core::error::Error for MalformedServiceRef {}

/// The Service port that a request is for. It may have no endpoint.
///
/// # Errors
/// [`Failure::BadRequest`] when the authority is none; else why there is no such port, as far as that is known without asking DNS.
pub fn resolve<'t>(service_ref: ServiceRef<'_>, table: &'t Table) -> Result<&'t Arc<Target>, Failure> {
    match service_ref {
        ServiceRef::Authority(text) => {
            let authority = Authority::parse(text).map_err(|_| Failure::BadRequest)?;
            table.by_authority(&authority).map_err(|_| match table.unasked(&authority) {
                Ok(_) => Failure::UnknownDestination, // DNS might know it, and nobody asks DNS here
                Err(failure) => failure,
            })
        }
        ServiceRef::Port { namespace, name, port } => table.by_port(namespace, name, port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_tells_the_name_of_a_port_from_an_authority() {
        let port = |namespace, name, port| Ok(ServiceRef::Port { namespace, name, port });
        for (text, service_ref) in [
            ("web.shop", Ok(ServiceRef::Authority("web.shop"))),
            ("[fd00::1]:80", Ok(ServiceRef::Authority("[fd00::1]:80"))),
            ("shop/web:80", port("shop", "web", 80)),
            ("shop/web", Err(MalformedServiceRef)),
            ("shop/web:", Err(MalformedServiceRef)),
            ("shop/web:0", Err(MalformedServiceRef)),
            ("shop/web:+80", Err(MalformedServiceRef)),
            ("shop/web:65536", Err(MalformedServiceRef)),
            ("shop/web:http", Err(MalformedServiceRef)),
        ] {
            assert_eq!(ServiceRef::parse(text), service_ref, "{text}");
        }
    }
}
