//! What real clients said, with a few things changed: bits, lengths, tags, numbers, words, order.

use std::io::Read;
use std::sync::Mutex;
use std::time::Duration;

use super::transcripts::{Transcript, transcripts};
use super::{Budget, Random};
use crate::hostile::is_unharmed;
use crate::hostile::peer::{Peer, field, message, query};
use crate::server::Server;

/// Numbers at the ends of what fits, big-endian.
const ENDS: [&[u8]; 8] =
    [b"\0\0", b"\xff\xff", b"\x7f\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\x01\0\0"];

/// Longest answer that is read; the rest of a result says nothing new.
const READ: usize = 4 << 20;

#[test]
fn changed_transcripts_end_their_own_connection_at_most() {
    let server = Server::start_with(&["wire.message_timeout=2s"]);
    let transcripts = transcripts(&server);
    println!("{} transcripts", transcripts.len());
    let before = server.resident_bytes();
    let (budget, faults) = (Mutex::new(Budget::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((seed, random)) = budget.lock().unwrap().next() else { return };
                    if let Some(fault) = fault(&server, &transcripts, random) {
                        faults.lock().unwrap().push(format!("seed {seed}: {fault}"));
                    }
                }
            });
        }
    });
    println!("{} sessions", budget.lock().unwrap().done());
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults[..faults.len().min(20)].join("\n"));
    server.eventually("no session is left", |server| server.metric("lakehold_wire_sessions") == 0.0);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 512 << 20, "grew by {grown} bytes");
    is_unharmed(&server);
}

/// Says a changed transcript to the server; returns what is wrong with the answer.
fn fault(server: &Server, transcripts: &[Transcript], mut random: Random) -> Option<String> {
    let messages = changed(transcripts, &mut random);
    let mut peer = Peer::login(server);
    peer.ask(&query("SET statement_timeout = '2s'"));
    peer.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut writer = peer.stream.try_clone().unwrap();
    let bytes = messages.concat();
    // The server may stop reading while nobody reads its answers.
    let sender = std::thread::spawn(move || {
        let _ = std::io::Write::write_all(&mut writer, &bytes);
        let _ = writer.shutdown(std::net::Shutdown::Write);
    });
    let mut answer = Vec::new();
    let ended = (&mut peer.stream).take(READ as u64).read_to_end(&mut answer);
    let _ = peer.stream.shutdown(std::net::Shutdown::Both);
    sender.join().unwrap();
    if ended.is_err_and(|error| matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)) {
        return Some(format!("the server hangs after {}", shown(&messages)));
    }
    let error = bug_in(&answer)?;
    Some(format!("{error} after {}", shown(&messages)))
}

/// The first error of class XX in an answer that may be cut off at its end.
fn bug_in(mut answer: &[u8]) -> Option<String> {
    while answer.len() > 5 {
        let length = u32::from_be_bytes(answer[1..5].try_into().unwrap()) as usize;
        let body = answer.get(5..1 + length)?;
        if answer[0] == b'E' && field(body, b'C').starts_with("XX") {
            return Some(format!("{} {}", field(body, b'C'), field(body, b'M')));
        }
        answer = &answer[1 + length..];
    }
    None
}

/// The last words of a session, for a report.
fn shown(messages: &[Vec<u8>]) -> String {
    let texts = messages.iter().filter(|message| b"QPB".contains(&message[0])).map(|message| String::from_utf8_lossy(message));
    let all = texts.map(|text| text.escape_debug().to_string()).collect::<Vec<_>>().join(" | ");
    let start = all.char_indices().rev().nth(1_500).map_or(0, |(index, _)| index);
    all[start..].to_string()
}

/// A part of a transcript with up to four changes.
fn changed(transcripts: &[Transcript], random: &mut Random) -> Vec<Vec<u8>> {
    let transcript = random.one(transcripts);
    let start = random.below(transcript.len());
    let length = 1 + random.below(12);
    let mut messages: Vec<Vec<u8>> = transcript.iter().skip(start).take(length).cloned().collect();
    for _ in 0..random.below(5) {
        let index = random.below(messages.len());
        match random.below(6) {
            0 => messages.insert(index, random_message(transcripts, random).clone()),
            1 if messages.len() > 1 => drop(messages.remove(index)),
            2 => {
                let again = messages[index].clone();
                messages.insert(random.below(messages.len() + 1), again);
            }
            3 | 4 => words(&mut messages[index], transcripts, random),
            _ => bytes(&mut messages[index], random),
        }
    }
    messages
}

fn random_message<'t>(transcripts: &'t [Transcript], random: &mut Random) -> &'t Vec<u8> {
    let transcript = random.one(transcripts);
    random.one(transcript)
}

/// Changes bytes, with or without keeping the length true.
fn bytes(message_bytes: &mut Vec<u8>, random: &mut Random) {
    let (tag, mut body) = (message_bytes[0], message_bytes[5..].to_vec());
    let at = random.below(body.len() + 1);
    match random.below(7) {
        0 if !body.is_empty() => {
            let at = at.min(body.len() - 1);
            body[at] ^= 1 << random.below(8);
        }
        1 => body.truncate(at),
        2 => drop(body.splice(at..at, random.bytes(20))),
        3 => {
            let end = *random.one(&ENDS);
            let until = (at + end.len()).min(body.len());
            drop(body.splice(at..until, end.iter().copied()));
        }
        4 => {
            *message_bytes = message(random.byte(), &body);
            return;
        }
        5 => {
            message_bytes[1..5].copy_from_slice(&i32::try_from(random.below(2 * body.len() + 8)).unwrap().to_be_bytes());
            return;
        }
        _ => body.extend(random.bytes(4)),
    }
    *message_bytes = message(tag, &body);
}

/// Changes words of a statement: leaves one out, says one twice, exchanges two, takes one from elsewhere.
fn words(message_bytes: &mut Vec<u8>, transcripts: &[Transcript], random: &mut Random) {
    let Some(text) = text_of(message_bytes) else { return bytes(message_bytes, random) };
    let mut words: Vec<String> = text.split_inclusive([' ', ',', '(', ')', '\n']).map(str::to_string).collect();
    if words.is_empty() {
        return;
    }
    for _ in 0..=random.below(3) {
        let (one, other) = (random.below(words.len()), random.below(words.len()));
        match random.below(4) {
            0 if words.len() > 1 => drop(words.remove(one)),
            1 => words.insert(other, words[one].clone()),
            2 => words.swap(one, other),
            _ => {
                let donor = random_message(transcripts, random);
                let Some(text) = text_of(donor) else { continue };
                let foreign: Vec<&str> = text.split_inclusive([' ', ',', '(', ')', '\n']).collect();
                if !foreign.is_empty() {
                    words[one] = (*random.one(&foreign)).to_string();
                }
            }
        }
    }
    let (tag, text) = (message_bytes[0], words.concat().replace('\0', ""));
    let rest = &message_bytes[5..];
    let body = match tag {
        b'Q' => [text.as_bytes(), b"\0"].concat(),
        // Behind the name and the text stand the types.
        _ => {
            let mut parts = rest.splitn(3, |byte| *byte == 0);
            let (name, types) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
            [name, b"\0", text.as_bytes(), b"\0", types].concat()
        }
    };
    *message_bytes = message(tag, &body);
}

/// The statement in a Query or a Parse.
fn text_of(message: &[u8]) -> Option<&str> {
    let mut parts = message[5..].split(|byte| *byte == 0);
    let text = match message[0] {
        b'Q' => parts.next()?,
        b'P' => parts.nth(1)?,
        _ => return None,
    };
    std::str::from_utf8(text).ok()
}
