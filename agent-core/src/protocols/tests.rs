//! Obligations of every row of the protocol table.
use super::*;
use std::{fs, path::PathBuf};

fn folder(protocol: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/wire").join(protocol)
}

/// First lines of the conversations of a folder.
fn first_lines(folder: &PathBuf) -> Vec<String> {
    let files = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let conversations = files.filter(|file| file.extension().is_some_and(|extension| extension == "txt"));
    conversations.map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn every_module_of_the_table_has_conversations() {
    for module in MODULES {
        assert!(!first_lines(&folder(module)).is_empty(), "tests/fixtures/wire/{module} is empty");
    }
}

#[test]
fn no_protocol_claims_what_another_one_says() {
    for (module, protocol) in MODULES.iter().zip(PROTOCOLS) {
        let others = MODULES.iter().filter(|other| *other != module).map(|other| folder(other));
        for conversation in others.flat_map(|folder| first_lines(&folder)) {
            for line in conversation.lines().filter_map(|line| line.get(2..)) {
                assert_eq!(protocol.sniff(line.as_bytes()), Sniff::No, "{module} claims {line}");
            }
        }
    }
}

#[test]
fn no_protocol_claims_the_first_bytes_of_protocols_it_does_not_know() {
    let strangers: &[&[u8]] = &[
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
        b"+PONG\r\n",
        b"get key\r\n",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        b"Q\x00\x00\x00\x0dSELECT 1\x00",
        b"J\x00\x00\x00\x0a5.7.33\x00",
        b"AMQP\x00\x00\x09\x01",
        b"\x10\x0e\x00\x04MQTT\x04\x02",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.example ESMTP\r\n",
        b"INFO {\"server_id\":\"N\"}\r\n",
        b"SIP/2.0 200 OK\r\n",
        b"RTSP/1.0 200 OK\r\n",
        b"OPTIONS rtsp://x RTSP/1.0\r\n",
        b"HTTP/0.9 200 OK\r\n",
        b"HTTP/1.1 20 OK\r\n",
        b"GET /\r\n",
    ];
    for protocol in PROTOCOLS {
        for stranger in strangers {
            assert_eq!(protocol.sniff(stranger), Sniff::No, "{}", stranger.escape_ascii());
        }
    }
}
