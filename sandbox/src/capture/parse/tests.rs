//! Frames written out by hand.

use super::*;

fn frame(sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0x00]);
    let total = u16::try_from(40 + payload.len()).unwrap().to_be_bytes();
    frame.extend([0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0x9c, 0x40, 0x3a, 0xa0]); // 40000 -> 15008
    frame.extend(sequence.to_be_bytes());
    frame.extend([0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

fn record(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[22, 3, 1, length[0], length[1]], bytes].concat()
}

fn hello(kind: u8, after_random: &[u8], extensions: &[u8]) -> Vec<u8> {
    let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
    let body = [
        &[3, 3],
        [7; 32].as_slice(),
        after_random,
        &length,
        extensions,
    ]
    .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, length[1], length[2], length[3]], body.as_slice()].concat()
}

fn a_client_hello() -> Vec<u8> {
    let extensions = [
        &[0, 43, 0, 3, 2, 0x03, 0x04][..],
        &[
            0, 51, 0, 12, 0, 10, 0x11, 0xec, 0, 2, 1, 2, 0x00, 0x1d, 0, 0,
        ],
        &[0, 16, 0, 5, 0, 3, 2, b'h', b'2'],
    ]
    .concat();
    hello(1, &[0, 0, 2, 0x13, 0x01, 1, 0], &extensions)
}

#[test]
fn reads_a_client_hello_that_spans_records_and_segments() {
    let message = a_client_hello();
    let stream = [record(&message[..20]), record(&message[20..])].concat();
    // Out of order, one part twice.
    let frames = [
        frame(130, &stream[30..]),
        frame(100, &stream[..40]),
        frame(100, &stream[..40]),
    ];
    let streams = streams(frames.iter().map(Vec::as_slice));
    let ((source, destination), bytes) = streams.first_key_value().unwrap();
    assert_eq!((source.port(), destination.port()), (40000, 15008));
    assert_eq!(bytes, &stream);
    let hello = client_hello(bytes).unwrap();
    assert_eq!(hello.versions, [TLS_1_3]);
    assert_eq!(
        hello
            .groups
            .iter()
            .map(|group| group_name(*group))
            .collect::<Vec<_>>(),
        ["X25519MLKEM768", "x25519"]
    );
    assert_eq!(hello.protocols, ["h2"]);
}

#[test]
fn reads_the_group_that_a_server_chose() {
    let extensions = [0, 43, 0, 2, 0x03, 0x04, 0, 51, 0, 6, 0x11, 0xec, 0, 2, 9, 9];
    let stream = record(&hello(2, &[0, 0x13, 0x01, 0], &extensions));
    let expected = ServerHello {
        version: Some(TLS_1_3),
        group: Some(0x11ec),
    };
    assert_eq!(server_hello(&stream), Some(expected));
    assert_eq!(client_hello(&stream), None);
}

#[test]
fn clear_text_and_cut_bytes_are_no_hello() {
    assert_eq!(client_hello(b"GET / HTTP/1.1\r\n\r\n"), None);
    let whole = record(&a_client_hello());
    for length in 0..whole.len() {
        assert_eq!(client_hello(&whole[..length]), None, "{length}");
    }
}

#[test]
fn frames_that_are_not_tcp_or_cut_are_passed_over() {
    let whole = frame(1, b"x");
    assert_eq!(segment(&whole).unwrap().payload, b"x");
    for length in 0..whole.len() {
        assert_eq!(segment(&whole[..length]), None, "{length}");
    }
    let mut datagram = whole;
    datagram[23] = 17;
    assert_eq!(segment(&datagram), None);
}

#[test]
fn padding_behind_a_short_packet_is_no_payload() {
    let mut padded = frame(1, b"");
    padded.extend([0; 6]);
    assert_eq!(segment(&padded).unwrap().payload, b"");
}

#[test]
fn sequence_numbers_may_wrap_around() {
    let frames = [frame(u32::MAX - 1, b"abcd"), frame(2, b"ef")];
    let streams = streams(frames.iter().map(Vec::as_slice));
    assert_eq!(streams.values().next().unwrap(), b"abcdef");
}
