//! The interface of the carriers, which transfer the bytes of a conversation.

use std::io::{self, Read, Write};

use super::failure::Failure;
use super::protocol::capabilities::Service;

/// Writes the body of a request. It is called again if the request must be repeated.
pub(super) type Writer<'w> = &'w mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// Reads a response. The rest of the response is discarded.
pub(super) type ResponseReader<'r> = &'r mut dyn FnMut(&mut dyn Read) -> Result<(), Failure>;

/// The body of a request.
pub(super) enum RequestBody<'b> {
    None,
    Bytes(&'b [u8]),
    /// A body that is written while it is sent. `length` is its length in bytes, if that is known in
    /// advance.
    Stream {
        length: Option<u64>,
        write: Writer<'b>,
    },
}

/// A connection to the services of a server.
pub(super) trait Carrier: Send {
    /// Starts a service, and reads its first message: the capabilities.
    fn greet(&mut self, service: Service, read: ResponseReader<'_>) -> Result<(), Failure>;

    /// Sends a request to a service that was greeted. If requests are stateless, remembered
    /// capabilities are enough.
    fn request(
        &mut self,
        service: Service,
        body: RequestBody<'_>,
        read: ResponseReader<'_>,
    ) -> Result<(), Failure>;

    /// Connects to a service that will be greeted soon, without waiting for it.
    fn connect(&mut self, _service: Service) {}

    /// Whether requests are stateless: the server remembers nothing between two requests, not even
    /// that it was greeted.
    fn is_stateless(&self) -> bool;

    /// Ends a service. The next operation must greet it again.
    fn end(&mut self, service: Service);
}
