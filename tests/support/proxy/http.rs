//! HTTP/1.1 as it stands on the wire: heads and bodies, read and written piece by piece.

use std::io::{self, BufRead, Read as _, Write};

/// The most bytes of a head.
const LONGEST_HEAD: u64 = 1 << 16;

/// The first line of a request or an answer, and its headers.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// `GET /v2/ HTTP/1.1`, `HTTP/1.1 200 OK`
    pub first: String,
    /// as they came
    pub headers: Vec<(String, String)>,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// that many bytes
    Length(u64),
    /// in chunks, each with its length
    Chunked,
    /// it ends with the connection
    UntilClose,
}

impl Head {
    /// Reads a head; `None` when the connection ends before it begins.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut limited = reader.take(LONGEST_HEAD);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if limited.read_line(&mut line)? == 0 {
                return if lines.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            let line = line.trim_end_matches(['\r', '\n']);
            match (line.is_empty(), lines.is_empty()) {
                // A client may send an empty line after a body.
                (true, true) => {}
                (true, false) => break,
                (false, _) => lines.push(line.to_owned()),
            }
        }
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or_default();
        let split = |line: String| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        let headers = lines.map(|line| split(line).ok_or(io::ErrorKind::InvalidData.into()));
        Ok(Some(Self { first, headers: headers.collect::<io::Result<_>>()? }))
    }

    /// A header's text.
    pub fn get(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// Takes a header away.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// Puts a header in the place of any of its name.
    pub fn set(&mut self, name: &str, value: &impl ToString) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_string()));
    }

    /// The word of the first line at that place.
    pub fn word(&self, place: usize) -> &str {
        self.first.split(' ').nth(place).unwrap_or_default()
    }

    /// The status of an answer; 0 for what is none.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or(0)
    }

    /// How the body ends that the headers announce; `None` when they announce none.
    pub fn framing(&self) -> io::Result<Option<Framing>> {
        if self.get("transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked")) {
            return Ok(Some(Framing::Chunked));
        }
        let length = self.get("content-length").map(str::parse::<u64>).transpose();
        Ok(length.map_err(|_| io::ErrorKind::InvalidData)?.map(Framing::Length))
    }

    /// The head as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let lines = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        format!("{}\r\n{}\r\n", self.first, lines.collect::<String>()).into_bytes()
    }
}

/// The bytes of a body, without what frames them.
pub struct Body<'reader, R> {
    reader: &'reader mut R,
    framing: Framing,
    /// of the body, or of the chunk
    left: u64,
    over: bool,
}

impl<'reader, R: BufRead> Body<'reader, R> {
    /// The body that comes next in `reader`.
    pub fn new(reader: &'reader mut R, framing: Framing) -> Self {
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        Self { reader, framing, left, over: framing == Framing::Length(0) }
    }

    /// Reads some of it; 0 at its end.
    ///
    /// # Errors
    /// Also when the connection ends before the body does.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.over && self.left == 0 && self.framing == Framing::Chunked {
            self.left = self.chunk()?;
            self.over = self.left == 0;
            if self.over {
                // The trailers, and the empty line that ends them.
                while !self.line()?.is_empty() {}
            }
        }
        if self.over {
            return Ok(0);
        }
        let most = match self.framing {
            Framing::UntilClose => buffer.len(),
            _ => buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)),
        };
        let count = self.reader.read(&mut buffer[..most])?;
        match (self.framing, count) {
            (Framing::UntilClose, 0) => self.over = true,
            (_, 0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            (Framing::UntilClose, _) => {}
            (framing, _) => {
                self.left -= count as u64;
                if self.left == 0 && framing == Framing::Chunked {
                    // The line end behind the chunk.
                    self.line()?;
                }
                self.over = self.left == 0 && framing != Framing::Chunked;
            }
        }
        Ok(count)
    }

    fn chunk(&mut self) -> io::Result<u64> {
        let line = self.line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        u64::from_str_radix(digits, 16).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if (&mut self.reader).take(LONGEST_HEAD).read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// Writes a piece of a body in its frame.
pub fn write_piece(mut writer: impl Write, framing: Framing, piece: &[u8]) -> io::Result<()> {
    if framing != Framing::Chunked {
        return writer.write_all(piece);
    }
    let mut framed = format!("{:x}\r\n", piece.len()).into_bytes();
    framed.extend_from_slice(piece);
    framed.extend_from_slice(b"\r\n");
    writer.write_all(&framed)
}

/// Writes what stands behind the last piece.
pub fn write_end(mut writer: impl Write, framing: Framing) -> io::Result<()> {
    if framing == Framing::Chunked { writer.write_all(b"0\r\n\r\n") } else { Ok(()) }
}
