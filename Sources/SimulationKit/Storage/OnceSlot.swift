/// Where the volume keeps what became of a node's last request on a slot.
struct OnceSlot: Hashable {
    var node: String
    var slot: UInt16
}
