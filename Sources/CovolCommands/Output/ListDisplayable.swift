/// A value that is a row of a table, and an object of a JSON array.
///
/// Every command that lists prints through `CommandOutput.list`, so that all tables look alike
/// and each has `--json`.
protocol ListDisplayable: Encodable {
    static var tableColumns: [TableColumn] { get }
    /// One cell per column.
    var tableRow: [String] { get }
}

/// A value that is shown alone: a label and a value per line, or one JSON object.
protocol DetailDisplayable: Encodable {
    var details: [(label: String, value: String)] { get }
}

/// A column's title and the side that its cells stand at.
struct TableColumn: Sendable {
    enum Alignment: Sendable {
        case left, right
    }

    var title: String
    var alignment: Alignment

    static func text(_ title: String) -> TableColumn {
        TableColumn(title: title, alignment: .left)
    }

    static func number(_ title: String) -> TableColumn {
        TableColumn(title: title, alignment: .right)
    }
}
