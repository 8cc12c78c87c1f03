/// What is to happen, in the order of time; what is to happen at the same time, in the order of its
/// coming. A binary heap.
struct EventQueue {
    private struct Entry {
        var time: UInt64
        var number: UInt64
        var body: () -> Void

        func precedes(_ other: Entry) -> Bool {
            time != other.time ? time < other.time : number < other.number
        }
    }

    private var heap: [Entry] = []
    private var lastNumber: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }

    mutating func add(at time: UInt64, _ body: @escaping () -> Void) {
        lastNumber += 1
        heap.append(Entry(time: time, number: lastNumber, body: body))
        var index = heap.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard heap[index].precedes(heap[parent]) else { return }
            heap.swapAt(index, parent)
            index = parent
        }
    }

    mutating func next() -> (time: UInt64, body: () -> Void)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.time, first.body)
    }

    mutating func removeAll() { heap.removeAll() }

    private mutating func sink() {
        var index = 0
        while true {
            let left = 2 * index + 1
            guard left < heap.count else { return }
            let right = left + 1
            let child = right < heap.count && heap[right].precedes(heap[left]) ? right : left
            guard heap[child].precedes(heap[index]) else { return }
            heap.swapAt(index, child)
            index = child
        }
    }
}
