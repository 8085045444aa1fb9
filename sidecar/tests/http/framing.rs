//! Requests that two programs could read in two ways: the endpoint sees exactly one request, or nothing.

use super::table::Becomes::{Broken, Last, Refused, Requests};
use super::table::{check, row};

#[test]
fn a_length_is_said_once_and_in_one_way() {
    let post = |length: &str| format!("POST / HTTP/1.1\r\nHost: web\r\n{length}\r\n\r\nhello");
    check(&[
        row("RFC 9112 §6.2: a length", post("Content-Length: 5"), Requests(&[LENGTH])),
        row("RFC 9110 §5.5: with space around it", post("Content-Length:\t 5 \t"), Requests(&[LENGTH])),
        row(
            "RFC 9112 §6.3: the same length twice is that length",
            post("Content-Length: 5\r\nContent-Length: 5"),
            Requests(&[LENGTH]),
        ),
        row("§6.3: two lengths are none", post("Content-Length: 5\r\nContent-Length: 6"), Refused(400)),
        row(
            "§6.3: not even where the first hides a request",
            "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
            Refused(400),
        ),
        row("§6.3: nor in one line", post("Content-Length: 5, 6"), Refused(400)),
        row("§6.3: not even the same", post("Content-Length: 5, 5"), Refused(400)),
        row("RFC 9110 §8.6: digits only, no sign", post("Content-Length: +5"), Refused(400)),
        row("§8.6: nothing below zero", post("Content-Length: -1"), Refused(400)),
        row("§8.6: no space within", post("Content-Length: 1 5"), Refused(400)),
        row("§8.6: not nothing", post("Content-Length: "), Refused(400)),
        row("§8.6: no number that overflows", post("Content-Length: 18446744073709551621"), Refused(400)),
        row("§8.6: no hexadecimal", post("Content-Length: 0x5"), Refused(400)),
        row("§8.6: no fraction", post("Content-Length: 5.0"), Refused(400)),
        row("§5.5: no vertical tab", post("Content-Length: \x0b5"), Refused(400)),
        row("RFC 9112 §5.1: no space before the colon", post("Content-Length : 5"), Refused(400)),
    ]);
}

#[test]
fn a_coding_is_chunked_and_nothing_else() {
    let chunks =
        |lines: &str| format!("POST / HTTP/1.1\r\nHost: web\r\n{lines}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let chunked = || Requests(&[CHUNKED]);
    let refused = [
        ("RFC 9112 §6.3: chunked comes last", "Transfer-Encoding: chunked, identity"),
        ("§6.1: and alone: what gzip hides belongs to this hop", "Transfer-Encoding: gzip, chunked"),
        ("§6.1: in two lines too", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
        ("§6.3: it is `chunked`, not almost", "Transfer-Encoding: xchunked"),
        ("§7: identity is none any more", "Transfer-Encoding: identity"),
        ("§7: not in quotes", "Transfer-Encoding: \"chunked\""),
        ("§7: chunked has no parameters", "Transfer-Encoding: chunked;q=1"),
        ("RFC 9110 §5.6.1: an empty list is none", "Transfer-Encoding: "),
        ("§5.6.1: nor is one with an empty member", "Transfer-Encoding: chunked,"),
        ("§5.5: a vertical tab is no space", "Transfer-Encoding: \x0bchunked"),
        ("§5.5: nor behind it", "Transfer-Encoding: chunked\x0b"),
        ("§5.5: nor is a form feed", "Transfer-Encoding:\x0cchunked"),
        ("§5.5: nor NUL", "Transfer-Encoding: chunked\0"),
        ("RFC 9112 §5.2: no folded line", "Transfer-Encoding:\r\n chunked"),
        ("§5.1: no space before the colon", "Transfer-Encoding : chunked"),
        ("§5.1: no tab either", "Transfer-Encoding\t: chunked"),
        ("§6.1: chunked once", "Transfer-Encoding: chunked, chunked"),
        ("§6.1: nor in two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ("§6.3: a length does not mend it", "Content-Length: 15\r\nTransfer-Encoding: xchunked"),
    ];
    let mut rows =
        refused.map(|(why, lines)| row(why, chunks(lines), Refused(400))).into_iter().collect::<Vec<_>>();
    rows.extend([
        row("§6.1: a coding", chunks("Transfer-Encoding: chunked"), chunked()),
        row("RFC 9110 §5.6.2: codings have no case", chunks("Transfer-Encoding: CHUNKED"), chunked()),
        row("§5.5: a tab is space", chunks("Transfer-Encoding:\tchunked\t"), chunked()),
        row("RFC 9112 §6.1: HTTP/1.0 knows no codings", chunks("Transfer-Encoding: chunked").replace("1.1", "1.0"), Refused(400)),
        row("§6.3: the coding overrides the length", chunks("Content-Length: 3\r\nTransfer-Encoding: chunked"), Last(&[CHUNKED])),
        row("§6.3: in either order", chunks("Transfer-Encoding: chunked\r\nContent-Length: 3"), Last(&[CHUNKED])),
        row(
            "§6.1: and the connection ends: by the length, this was one request",
            "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 45\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
            Last(&["POST / | transfer-encoding: chunked"]),
        ),
        row(
            "§6.1: by the length, these were two",
            "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2b\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\nX: y\r\n\r\n\r\n0\r\n\r\n",
            Last(&["POST / | transfer-encoding: chunked | GET /smuggled HTTP/1.1\r\nHost: web\r\nX: y\r\n\r\n"]),
        ),
    ]);
    check(&rows);
}

#[test]
fn chunks_have_sizes_that_all_read_alike() {
    let head = "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n";
    let chunks = |body: &str| format!("{head}\r\n{body}");
    let announced = |names: &str, trailers: &str| {
        format!("{head}Trailer: {names}\r\n\r\n5\r\nhello\r\n0\r\n{trailers}\r\n")
    };
    check(&[
        row(
            "RFC 9112 §7.1.1: extensions end at this hop",
            chunks("5;a=b\r\nhello\r\n0;c\r\n\r\n"),
            Requests(&[CHUNKED]),
        ),
        row("§7.1.1: quoted ones too", chunks("5;a=\"b\"\r\nhello\r\n0\r\n\r\n"), Requests(&[CHUNKED])),
        row(
            "§7.1: sizes in either case",
            chunks("0000A\r\nhellohello\r\n0\r\n\r\n"),
            Requests(&["POST / | transfer-encoding: chunked | hellohello"]),
        ),
        row("§7.1: any zeros are the last chunk", chunks("5\r\nhello\r\n0000\r\n\r\n"), Requests(&[CHUNKED])),
        row(
            "§7.1.2: announced trailers stay trailers",
            announced("x-sum", "x-sum: 1\r\n"),
            Requests(&["POST / | trailer: x-sum | transfer-encoding: chunked | hello | x-sum: 1"]),
        ),
        row(
            "RFC 9110 §6.5.1: others may be dropped, and are",
            chunks("5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"),
            Requests(&[CHUNKED]),
        ),
        row(
            "§6.5.1: a trailer neither frames nor routes, nor says who asks",
            announced(
                "content-length, host, x-forwarded-for, x-forwarded-user, x_real_ip, authorization, cookie, set-cookie, if-match, x-sum",
                "Authorization: a\r\nCookie: a\r\nSet-Cookie: a\r\nIf-Match: a\r\nContent-Length: 9\r\nHost: a\r\nTransfer-Encoding: x\r\nX-Forwarded-For: 1\r\nX-Forwarded-User: root\r\nX_Real_IP: 1\r\nx-sum: 1\r\n",
            ),
            Requests(&[
                "POST / | trailer: content-length, host, x-forwarded-for, x-forwarded-user, x_real_ip, authorization, cookie, set-cookie, if-match, x-sum | transfer-encoding: chunked | hello | x-sum: 1",
            ]),
        ),
    ]);
}

#[test]
fn a_chunk_that_is_none_breaks_the_connection_off() {
    let head = "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n";
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n";
    let huge = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(64 * 1024));
    let many = format!("5\r\nhello\r\n0\r\n{}\r\n", "X: a\r\n".repeat(2000));
    let bodies = [
        ("RFC 9112 §7.1: a size that overflows 64 bits to 5", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("§7.1: that overflows to nothing", "10000000000000000\r\n"),
        ("§7.1: that has a sign", "+5\r\nhello\r\n0\r\n\r\n"),
        ("§7.1: or the other", "-5\r\nhello\r\n0\r\n\r\n"),
        ("§7.1: that says that it is hexadecimal", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("§7.1: that is none", "\r\nhello\r\n0\r\n\r\n"),
        ("§7.1: that has a space before it", " 5\r\nhello\r\n0\r\n\r\n"),
        ("§7.1: that has one within", "1 0\r\nhello\r\n0\r\n\r\n"),
        ("§7.1: a chunk that is longer than its size", "5\r\nhelloXX0\r\n\r\n"),
        ("§7.1: that is shorter", "6\r\nhello\r\n0\r\n\r\n"),
        ("§7.1: a size that ends with a bare LF", "5\nhello\r\n0\r\n\r\n"),
        ("§7.1: with a bare CR", "5\rhello\r\n0\r\n\r\n"),
        ("§7.1: a chunk that ends with a bare LF", "5\r\nhello\n0\r\n\r\n"),
        ("§7.1: an extension with a bare LF in it", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("§7.1.1: with a NUL in it", "5;a\0\r\nhello\r\n0\r\n\r\n"),
        ("§7.1.1: also in quotes", "5;a=\"\0\"\r\nhello\r\n0\r\n\r\n"),
        ("§7.1.1: with another control character in it", "5;a\x0b\r\nhello\r\n0\r\n\r\n"),
        ("§7.1: a last chunk that ends with a bare LF", "5\r\nhello\r\n0\n\r\n"),
        ("§7.1.1: extensions that do not end", &huge),
        ("§7.1.2: trailers that do not end", &many),
        ("§7.1.2: a trailer that is none", "5\r\nhello\r\n0\r\n\0: x\r\n\r\n"),
        ("§7.1.2: one that ends with a bare LF", "5\r\nhello\r\n0\r\nX: a\n\r\n"),
        ("§7.1.2: two, with a bare LF between", "5\r\nhello\r\n0\r\nX: a\nY: b\r\n\r\n"),
        ("§7.1.2: whose last line ends with a bare LF", "5\r\nhello\r\n0\r\nX: a\r\n\n"),
        ("§5.1: with a space before its colon", "5\r\nhello\r\n0\r\nX : x\r\n\r\n"),
        ("§5.2: a folded one", "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"),
    ];
    check(&bodies.map(|(why, body)| row(why, format!("{head}{body}{smuggled}"), Broken)));
}

#[test]
fn a_head_has_lines_that_all_read_alike() {
    let get = |lines: &str| format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n");
    let refused = [
        ("RFC 9112 §2.2: a bare CR is no line end", get("Host: web\r\nX: a\rY: b")),
        ("§2.2: not before a length either", get("Host: web\r\nX: a\rContent-Length: 40")),
        ("RFC 9110 §5.5: no NUL in a value", get("Host: web\r\nX: a\0b")),
        ("§5.5: no other control character", get("Host: web\r\nX: a\x0bb")),
        ("§5.5: nor the last of them", get("Host: web\r\nX: a\x7fb")),
        ("§5.1: no NUL in a name", get("Host: web\r\nX\0: a")),
        ("§5.1: only letters that all have", get("Host: web\r\nX\u{e9}: a")),
        ("§5.1: no separators", get("Host: web\r\nX(a): a")),
        ("RFC 9112 §5.2: no folded lines", get("Host: web\r\nX: a\r\n b")),
        ("§5.2: whatever they hide", get("Host: web\r\nX: a\r\n Transfer-Encoding: chunked")),
        ("§5.2: with a tab", get("Host: web\r\nX: a\r\n\tb")),
        ("§2.2: not the first line either", get(" Host: web")),
        ("§5.1: no space before the colon", get("Host: web\r\nX : a")),
        ("RFC 9110 §5.1: a header has a name", get("Host: web\r\n: a")),
        ("§5.1: and a colon", get("Host: web\r\nfoo")),
        ("RFC 9112 §2.3: a version we know", "GET / HTTP/1.2\r\nHost: web\r\n\r\n".into()),
        ("§2.3: of two digits", "GET / HTTP/1.10\r\nHost: web\r\n\r\n".into()),
        ("§2.3: in capitals", "GET / http/1.1\r\nHost: web\r\n\r\n".into()),
        ("§3: one that is said", "GET /\r\n\r\n".into()),
        ("§3: one space between", "GET  / HTTP/1.1\r\nHost: web\r\n\r\n".into()),
        ("§3: no tab", "GET\t/\tHTTP/1.1\r\nHost: web\r\n\r\n".into()),
        ("§3: none behind", "GET / HTTP/1.1 \r\nHost: web\r\n\r\n".into()),
        ("§3.2: none in a target", "GET /a b HTTP/1.1\r\nHost: web\r\n\r\n".into()),
        ("§3.1: a method is a token", "GE(T / HTTP/1.1\r\nHost: web\r\n\r\n".into()),
    ];
    let mut rows = refused.map(|(why, sent)| row(why, sent, Refused(400))).into_iter().collect::<Vec<_>>();
    rows.extend([
        row("§2.2: a bare LF does not end a line", "GET / HTTP/1.1\nHost: web\nX: a\n\n", Refused(400)),
        row("§2.2: nor the first", "GET / HTTP/1.1\nHost: web\r\n\r\n", Refused(400)),
        row("§2.2: nor the last", "GET / HTTP/1.1\r\nHost: web\r\n\n", Refused(400)),
        row("§2.2: nor is it an empty one", "\nGET / HTTP/1.1\r\nHost: web\r\n\r\n", Refused(400)),
        row(
            "§8: a head is whole before its connection ends",
            "GET / HTTP/1.1\r\nHost: web\r\nX: a\n",
            Refused(400),
        ),
        row(
            "§2.2: empty lines before are no request",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: web\r\n\r\n",
            Requests(&["GET /"]),
        ),
        row(
            "RFC 9110 §5.5: other bytes pass as they are",
            get("Host: web\r\nX: \u{e9}"),
            Requests(&["GET / | x: \u{e9}"]),
        ),
        row(
            "RFC 6585 §5: too many lines",
            get(&format!("Host: web{}", "\r\nX: a".repeat(256))),
            Refused(431),
        ),
        row("§5: many are none", get(&format!("Host: web{}", "\r\nTE: a".repeat(255))), Requests(&["GET /"])),
        row(
            "RFC 9110 §15.5.15: a line that is too long",
            format!("GET /{} HTTP/1.1\r\nHost: web\r\n\r\n", "a".repeat(100 * 1024)),
            Refused(414),
        ),
        row(
            "RFC 6585 §5: too large",
            get(&format!("Host: web\r\nX: {}", "a".repeat(100 * 1024))),
            Refused(431),
        ),
        row(
            "RFC 9110 §9.1: methods have case, and pass",
            "get / HTTP/1.1\r\nHost: web\r\n\r\n",
            Requests(&["get /"]),
        ),
    ]);
    check(&rows);
}

#[test]
fn requests_may_come_together() {
    check(&[
        row(
            "RFC 9110 §9.3.1: GET may have a body",
            "GET / HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhello",
            Requests(&["GET / | content-length: 5 | hello"]),
        ),
        row(
            "RFC 9112 §9.3.2: requests may come together",
            "GET /1 HTTP/1.1\r\nHost: web\r\n\r\nGET /2 HTTP/1.1\r\nHost: web\r\n\r\n",
            Requests(&["GET /1", "GET /2"]),
        ),
        row(
            "§9.3.2: also behind a body",
            "POST /1 HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: web\r\n\r\n",
            Requests(&["POST /1 | content-length: 5 | hello", "GET /2"]),
        ),
    ]);
}

const LENGTH: &str = "POST / | content-length: 5 | hello";
const CHUNKED: &str = "POST / | transfer-encoding: chunked | hello";
