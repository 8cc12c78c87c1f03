import ClusterStore
import Dispatch
import Glibc

/// What ends the program: a signal or the disk's failure, whichever comes first.
struct Ends {
    /// Takes a failure, from any thread.
    let failures: AsyncStream<StoreError?>.Continuation
    private let stream: AsyncStream<StoreError?>
    /// A source works for as long as it is referred to.
    private let signals: [any DispatchSourceSignal]

    /// Takes SIGTERM and SIGINT over from here on.
    init() {
        let (stream, continuation) = AsyncStream<StoreError?>.makeStream()
        self.stream = stream
        failures = continuation
        signals = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(nil) }
            source.resume()
            return source
        }
    }

    /// Nil after a signal.
    func first() async -> StoreError? {
        defer { withExtendedLifetime(signals) {} }
        for await end in stream { return end }
        return nil
    }
}
