//! Servers that take a stream and go.

use super::*;

#[test]
fn a_server_that_restarts_gets_what_nobody_may_have_read() {
    let (listener, config) = tcp();
    let next = listener.try_clone().unwrap();
    let ((end, ends), (to, ended)) = (channel::<()>(), channel());
    // It reads two messages, and ends when it is told to.
    let first = thread::spawn(move || {
        let mut stream = BufReader::with_capacity(64, listener.accept().unwrap().0);
        let read = [counted(&mut stream), counted(&mut stream)];
        ends.recv().unwrap();
        drop(stream);
        to.send(()).unwrap();
        read.map(|message| number(&message.unwrap()))
    });
    let mut desk = Desk::new(&config);
    desk.taken(0..5);
    end.send(()).unwrap();
    ended.recv().unwrap();
    assert_eq!(
        first.join().unwrap(),
        [0, 1],
        "what it read; the other three were taken all the same"
    );
    let numbers = server(next, vec![usize::MAX]);
    // Its end is seen before anything is sent to nobody.
    desk.taken(5..7);
    drop(desk);
    assert_eq!(numbers.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6], "all, in their order");
}

#[test]
fn a_server_that_closes_in_the_middle_of_a_batch_gets_it_again() {
    let (listener, config) = tcp();
    let numbers = server(listener, vec![1, usize::MAX]);
    let mut desk = Desk::new(&config);
    let Answer::Later { trouble, .. } = desk.send(&many()) else { panic!() };
    assert_eq!(trouble.reason, Reason::Connect, "{}", trouble.text);
    assert!(matches!(desk.send(&many()), Answer::Taken { .. }));
    drop(desk);
    let came: Vec<_> = numbers.iter().collect();
    assert_eq!(came[0], 0);
    assert_eq!(came[1..], (0..2_000).collect::<Vec<_>>());
}

#[test]
fn a_server_that_hangs_has_taken_nothing() {
    let (listener, config) = tcp();
    let mut desk = Desk::new(&config);
    let many = many();
    let waited = desk.runtime.block_on(async {
        tokio::time::timeout(Duration::from_millis(300), desk.backend.send(&many)).await
    });
    assert!(waited.is_err(), "{waited:?}");
    // It was given up; the next try begins anew, on a connection of its own.
    let numbers = server(listener, vec![usize::MAX, usize::MAX]);
    desk.taken(0..2);
    drop(desk);
    let came: Vec<_> = numbers.iter().collect();
    assert_eq!(came[came.len() - 2..], [0, 1]);
}

#[test]
fn a_proxy_without_a_server_has_taken_nothing() {
    let (listener, config) = tcp();
    // It takes all that was sent, and ends the connection when it finds nobody to give it to.
    let first = listener.try_clone().unwrap();
    let proxy = thread::spawn(move || {
        let mut stream = BufReader::new(first.accept().unwrap().0);
        let all = [0, 1, 2].map(|_| number(&counted(&mut stream).unwrap()));
        thread::sleep(Duration::from_millis(20));
        all
    });
    let mut desk = Desk::new(&config);
    assert_eq!(desk.trouble(0..3).0, Reason::Connect);
    assert_eq!(proxy.join().unwrap(), [0, 1, 2]);
    let numbers = server(listener, vec![usize::MAX]);
    desk.taken(0..3);
    drop(desk);
    assert_eq!(numbers.iter().collect::<Vec<_>>(), [0, 1, 2]);
}
