import Foundation
import Testing

@testable import Fencing

@Suite(.timeLimit(.minutes(1))) struct BoundedCallTests {
    @Test func valueOfACallThatComesBack() {
        let calls = BoundedCall<Int>()
        for number in 1...100 {
            #expect(calls.run(timeoutSeconds: 20) { number } == number)
        }
    }

    @Test func callThatHangsIsGivenUpAndKeepsOthersOut() {
        let calls = BoundedCall<Int>()
        let (gate, ended) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let start = BootClock.nowSeconds
        let hung = calls.run(timeoutSeconds: 0.1) {
            gate.wait()
            ended.signal()
            return 1
        }
        #expect(hung == nil)
        // The path's next command is not begun, and its caller does not wait for ever either.
        #expect(calls.run(timeoutSeconds: 0.1) { 2 } == nil)
        #expect(BootClock.nowSeconds - start < 10)
        gate.signal()
        ended.wait()
        // Now it is idle again, and nobody gets the old call's value.
        #expect(calls.run(timeoutSeconds: 20) { 3 } == 3)
    }

    @Test func callersTakeTurns() {
        let calls = BoundedCall<Int>()
        DispatchQueue.concurrentPerform(iterations: 8) { number in
            let value = calls.run(timeoutSeconds: 20) {
                usleep(2000)
                return number
            }
            #expect(value == number)
        }
    }
}
