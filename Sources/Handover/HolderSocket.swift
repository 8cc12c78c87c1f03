import CLinux
import Glibc

/// One message with its descriptors, on a connected socket.
enum HolderSocket {
    static let descriptorsMaximum = Int(covol_handover_descriptors_maximum)

    /// 0, or -errno. `descriptors` are borrowed.
    static func send(
        _ message: HolderMessage, _ descriptors: [Int32], to socket: Int32, waits: Bool
    ) -> Int32 {
        let bytes = message.bytes
        return covol_handover_send(
            socket, bytes, bytes.count, descriptors, Int32(descriptors.count), waits ? 1 : 0)
    }

    /// The descriptors are the caller's. Nil at the end, after an error, or for what is no message.
    static func receive(from socket: Int32) -> (HolderMessage, [Int32])? {
        var bytes = [UInt8](repeating: 0, count: HolderMessage.maximumBytes)
        var descriptors = [Int32](repeating: -1, count: descriptorsMaximum)
        var count: Int32 = 0
        let length = covol_handover_receive(
            socket, &bytes, bytes.count, &descriptors, Int32(descriptorsMaximum), &count)
        let received = Array(descriptors.prefix(Int(count)))
        guard length > 0, let message = HolderMessage(Array(bytes.prefix(length))) else {
            for descriptor in received { close(descriptor) }
            return nil
        }
        return (message, received)
    }
}
