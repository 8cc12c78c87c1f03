/// A table whose rows come one by one: a column is as wide as its widest cell so far.
struct RunningTable {
    let columns: [TableColumn]
    private var widths: [Int]
    private var isEmpty = true

    init(columns: [TableColumn]) {
        self.columns = columns
        widths = columns.map(\.title.count)
    }

    /// The row's line; the first one comes below the titles.
    mutating func text(_ row: [String]) -> String {
        let cells = row.map(Table.printable)
        precondition(cells.count == columns.count, "a row does not have the table's columns")
        widths = zip(widths, cells).map { max($0, $1.count) }
        let line = Table.line(cells, columns, widths)
        guard isEmpty else { return line }
        isEmpty = false
        return Table.line(columns.map(\.title), columns, widths) + "\n" + line
    }
}
