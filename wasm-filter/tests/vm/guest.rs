//! A VM as the functions see it that it calls.

use wasmi::{Caller, Error};

use super::proxy::{Proxy, Reach};

/// The VM that has called a function.
pub(crate) struct Guest<'c>(pub(crate) Caller<'c, Proxy>);

impl Guest<'_> {
    pub(crate) fn proxy(&mut self) -> &mut Proxy {
        self.0.data_mut()
    }

    /// What it points at.
    pub(crate) fn bytes(&self, at: u32, size: u32) -> Result<Vec<u8>, Error> {
        let memory = self.reach()?.memory;
        let found = memory.data(&self.0).get(at as usize..at as usize + size as usize);
        found.map(<[u8]>::to_vec).ok_or_else(|| Error::new(format!("{size} bytes at {at} are not its own")))
    }

    pub(crate) fn text(&self, at: u32, size: u32) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.bytes(at, size)?).into_owned())
    }

    pub(crate) fn number(&self, at: u32) -> Result<u32, Error> {
        let bytes = self.bytes(at, 4)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// Writes where it says.
    pub(crate) fn put(&mut self, at: u32, bytes: &[u8]) -> Result<(), Error> {
        let memory = self.reach()?.memory;
        memory.write(&mut self.0, at as usize, bytes).map_err(|error| Error::new(error.to_string()))
    }

    pub(crate) fn put_number(&mut self, at: u32, number: usize) -> Result<(), Error> {
        let number = u32::try_from(number).map_err(|error| Error::new(error.to_string()))?;
        self.put(at, &number.to_le_bytes())
    }

    /// Hands bytes over in memory that it allocates for them; what is empty is nowhere, as in Envoy.
    pub(crate) fn give(&mut self, bytes: &[u8], at: u32, size_at: u32) -> Result<(), Error> {
        let mut address = 0;
        if !bytes.is_empty() {
            let allocate = self.reach()?.allocate;
            let size = u32::try_from(bytes.len()).map_err(|error| Error::new(error.to_string()))?;
            address = allocate.call(&mut self.0, size)?;
            self.put(address, bytes)?;
        }
        self.put_number(at, address as usize)?;
        self.put_number(size_at, bytes.len())
    }

    fn reach(&self) -> Result<Reach, Error> {
        self.0.data().reach.ok_or_else(|| Error::new("it asks for something before it is there"))
    }
}
