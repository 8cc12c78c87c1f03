import Foundation

extension CommandOutput {
    /// Prints rows as a table, or as a JSON array.
    func list<Row: ListDisplayable>(_ rows: [Row], _ format: FormatOptions) throws {
        write(
            format.json
                ? try Self.json(rows)
                : Table(columns: Row.tableColumns, rows: rows.map(\.tableRow)).text)
    }

    /// Prints one value as lines, or as a JSON object.
    func show(_ value: some DetailDisplayable, _ format: FormatOptions) throws {
        guard !format.json else { return write(try Self.json(value)) }
        let details = value.details
        let width = details.map(\.label.count).max() ?? 0
        let lines = details.map { label, value in
            let padding = String(repeating: " ", count: width - label.count)
            return "\(label):\(padding) \(Table.printable(value))"
        }
        write(lines.joined(separator: "\n"))
    }

    /// One value as JSON without line ends, for streams of them.
    static func line(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    private static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
