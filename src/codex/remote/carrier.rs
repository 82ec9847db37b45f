//! What moves the bytes of a conversation.

use std::io::{self, Read, Write};

use super::failure::Failure;
use super::protocol::capabilities::Service;

/// Writes the body of a request; called again if the request has to be repeated.
pub(super) type Writer<'w> = &'w mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// Reads an answer. What it leaves of the answer is thrown away.
pub(super) type Reader<'r> = &'r mut dyn FnMut(&mut dyn Read) -> Result<(), Failure>;

/// The body of a request.
pub(super) enum Body<'b> {
    None,
    Bytes(&'b [u8]),
    /// Written as it is sent; the length where it is known before.
    Stream {
        length: Option<u64>,
        write: Writer<'b>,
    },
}

/// A way to a server's services.
pub(super) trait Carrier: Send {
    /// Reads what a service sends first: its capabilities.
    fn greet(&mut self, service: Service, read: Reader<'_>) -> Result<(), Failure>;

    /// Sends a request to a service that was greeted, or whose capabilities are remembered where requests stand alone.
    fn request(
        &mut self,
        service: Service,
        body: Body<'_>,
        read: Reader<'_>,
    ) -> Result<(), Failure>;

    /// Connects to a service that will be greeted soon, without waiting for it.
    fn connect(&mut self, _service: Service) {}

    /// Whether each request stands alone: the server remembers nothing between two, not even that it was greeted.
    fn is_stateless(&self) -> bool;

    /// Ends the conversation with a service. What comes next greets it again.
    fn end(&mut self, service: Service);
}
