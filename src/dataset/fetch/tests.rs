use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;

/// What a server of one test does with a request.
type Answer = fn(&mut TcpStream, request: &str, body: &[u8]);

/// Serves `answers` one after the other on the loopback, then hangs up; its address, and what it was
/// asked.
fn serve(body: Vec<u8>, answers: Vec<Answer>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/file", listener.local_addr().unwrap());
    let thread = thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap().to_lowercase();
            answer(&mut stream, &request, &body);
            asked.push(request);
        }
        asked
    });
    (address, thread)
}

fn head(stream: &mut TcpStream, status: &str, length: usize, more: &str) {
    let text =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(text.as_bytes()).unwrap();
}

fn whole(stream: &mut TcpStream, _: &str, body: &[u8]) {
    head(stream, "200 OK", body.len(), "");
    stream.write_all(body).unwrap();
}

fn half(stream: &mut TcpStream, _: &str, body: &[u8]) {
    head(stream, "200 OK", body.len(), "");
    stream.write_all(&body[..body.len() / 2]).unwrap();
}

fn rest(stream: &mut TcpStream, request: &str, body: &[u8]) {
    let from = request.split("range: bytes=").nth(1).unwrap().split('-').next().unwrap();
    let from: usize = from.parse().unwrap();
    let range = format!("Content-Range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len());
    head(stream, "206 Partial Content", body.len() - from, &range);
    stream.write_all(&body[from..]).unwrap();
}

fn none(stream: &mut TcpStream, _: &str, _: &[u8]) {
    head(stream, "404 Not Found", 0, "");
}

fn beyond(stream: &mut TcpStream, _: &str, _: &[u8]) {
    head(stream, "416 Range Not Satisfiable", 0, "");
}

const NAME: &str = "file";

/// Downloads from these addresses into `dir`.
fn download(dir: &Path, urls: &[String], md5: &'static str) -> (Result<()>, Vec<u64>) {
    let remote = Remote { name: NAME, md5, mirrors: &[], members: &[] };
    let mut seen = Vec::new();
    let ended = Client::new().download(urls, &remote, &dir.join(NAME), &mut |_, done, _| {
        seen.push(done);
    });
    (ended, seen)
}

fn body() -> (Vec<u8>, &'static str) {
    let body: Vec<u8> =
        (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x"), &body).unwrap();
    let md5 = md5_of(&dir.path().join("x")).unwrap();
    (body, Box::leak(md5.into_boxed_str()))
}

#[test]
fn the_checksum_is_md5() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x"), "abc").unwrap();
    // RFC 1321, appendix A.5.
    assert_eq!(md5_of(&dir.path().join("x")).unwrap(), "900150983cd24fb0d6963f7d28e17f72");
}

#[test]
fn a_whole_file_is_put_in_its_place() {
    let (body, md5) = body();
    let (url, server) = serve(body.clone(), vec![whole]);
    let dir = tempfile::tempdir().unwrap();
    let (ended, seen) = download(dir.path(), &[url], md5);
    ended.unwrap();
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), body);
    assert!(!dir.path().join("file.part").exists());
    assert_eq!(seen.last(), Some(&200_000));
    assert!(!server.join().unwrap()[0].contains("range:"));
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_stopped() {
    let (body, md5) = body();
    // Within one call, the server giving half the first time.
    let (url, server) = serve(body.clone(), vec![half, rest]);
    let dir = tempfile::tempdir().unwrap();
    download(dir.path(), &[url], md5).0.unwrap();
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), body);
    assert!(server.join().unwrap()[1].contains("range: bytes=100000-"));
    // After a process was killed, from what it left.
    let (url, server) = serve(body.clone(), vec![rest]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file.part"), &body[..70_000]).unwrap();
    let (ended, seen) = download(dir.path(), &[url], md5);
    ended.unwrap();
    assert_eq!(seen[0], 70_000);
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), body);
    assert!(server.join().unwrap()[0].contains("range: bytes=70000-"));
}

#[test]
fn a_server_that_knows_no_ranges_or_has_less_begins_anew() {
    let (body, md5) = body();
    for answers in [vec![whole as Answer], vec![beyond, whole]] {
        let (url, server) = serve(body.clone(), answers);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file.part"), vec![7; 300_000]).unwrap();
        download(dir.path(), &[url], md5).0.unwrap();
        assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), body);
        server.join().unwrap();
    }
}

#[test]
fn a_wrong_file_is_thrown_away_and_the_next_server_asked() {
    let (body, md5) = body();
    let (bad, first) = serve(b"an apology in HTML".to_vec(), vec![whole]);
    let (gone, second) = serve(Vec::new(), vec![none]);
    let (good, third) = serve(body.clone(), vec![whole]);
    let dir = tempfile::tempdir().unwrap();
    download(dir.path(), &[bad, gone, good], md5).0.unwrap();
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), body);
    for server in [first, second, third] {
        server.join().unwrap();
    }
    // None has it: each says why, and nothing is left in the place or beside it.
    let (bad, first) = serve(b"an apology in HTML".to_vec(), vec![whole]);
    let (gone, second) = serve(Vec::new(), vec![none]);
    let dir = tempfile::tempdir().unwrap();
    let text = download(dir.path(), &[bad, gone], md5).0.unwrap_err().to_string();
    assert!(text.contains("MD5 checksum") && text.contains("it answers 404"), "{text}");
    assert!(text.contains("LOSSREEL_MIRROR"), "{text}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    first.join().unwrap();
    second.join().unwrap();
}

#[test]
fn without_a_network_the_error_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody listens on port 1.
    let text = fetch(DataSet::Mnist, dir.path(), Some("http://127.0.0.1:1/"), &mut |_, _, _| {})
        .unwrap_err()
        .to_string();
    assert!(text.contains("cannot download train-images-idx3-ubyte.gz"), "{text}");
    assert!(text.contains("http://127.0.0.1:1/mnist/train-images"), "{text}");
    assert!(text.contains("check the network"), "{text}");
    let error = fetch(DataSet::Digits, dir.path(), None, &mut |_, _, _| {}).unwrap_err();
    assert!(error.to_string().contains("nobody publishes digits"), "{error}");
}

#[test]
fn a_file_that_is_there_and_damaged_is_named_with_both_checksums() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("train_32x32.mat"), "half").unwrap();
    let text = fetch(DataSet::Svhn, dir.path(), Some("http://127.0.0.1:1"), &mut |_, _, _| {})
        .unwrap_err()
        .to_string();
    assert!(text.contains("e26dedcc434d2e4c54c9b2d4a06d8373"), "{text}");
    assert!(text.contains("remove it and fetch it again"), "{text}");
    assert!(text.ends_with("train_32x32.mat"), "{text}");
}

#[test]
fn every_published_set_has_checksums_and_servers() {
    for &set in DataSet::ALL {
        let remotes = remotes(set);
        assert_eq!(remotes.is_empty(), set.origin() != super::super::Origin::Published, "{set}");
        for remote in remotes {
            assert_eq!(remote.md5.len(), 32, "{}", remote.name);
            assert!(remote.mirrors.iter().all(|at| at.ends_with('/')), "{}", remote.name);
        }
    }
}

#[test]
fn a_set_of_several_files_goes_on_with_those_that_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!is_begun(DataSet::Svhn, dir.path()).unwrap());
    fs::write(dir.path().join("test_32x32.mat.part"), "x").unwrap();
    assert!(is_begun(DataSet::Svhn, dir.path()).unwrap());
    assert!(!is_begun(DataSet::Mnist, dir.path()).unwrap());
}

#[test]
fn an_archive_is_unpacked_beside_it_by_name_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar.gz");
    let files: [(&str, &[u8]); 3] = [("x/one", b"1"), ("../../two", b"2"), ("three", b"3")];
    fs::write(&path, super::super::archive::tests::packed(&files)).unwrap();
    let remote = Remote { name: "a.tar.gz", md5: "", mirrors: &[], members: &["one", "two"] };
    unpack(&path, &remote, dir.path()).unwrap();
    assert_eq!(fs::read(dir.path().join("two")).unwrap(), b"2");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    let remote = Remote { members: &["four"], ..remote };
    assert!(unpack(&path, &remote, dir.path()).unwrap_err().to_string().contains("no four"));
}

#[test]
fn an_archive_is_fetched_compared_unpacked_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let body = super::super::archive::tests::packed(&[("in/a.bin", b"aa"), ("in/b.bin", b"b")]);
    fs::write(dir.path().join("x"), &body).unwrap();
    let md5: &'static str = Box::leak(md5_of(&dir.path().join("x")).unwrap().into_boxed_str());
    fs::rename(dir.path().join("x"), dir.path().join("kept")).unwrap();
    // What is there already and whole is not asked for.
    let kept = Remote { name: "kept", md5, mirrors: &[], members: &[] };
    let packed = Remote { name: "a.tar.gz", md5, mirrors: &[], members: &["a.bin", "b.bin"] };
    let (url, server) = serve(body, vec![half, rest]);
    let mirror = url.trim_end_matches("/file");
    let remotes = [kept, packed];
    fetch_all(DataSet::Cifar100, dir.path(), &remotes, Some(mirror), &mut |_, _, _| {}).unwrap();
    assert!(server.join().unwrap()[0].starts_with("get /cifar100/a.tar.gz "));
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.bin", "b.bin", "kept"]);
    assert_eq!(fs::read(dir.path().join("a.bin")).unwrap(), b"aa");
}
