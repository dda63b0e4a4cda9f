/** Text in columns. */
import { printable } from './format.ts'

/** Rows under headings, each column as wide as its widest cell, the last as wide as it needs, and each row on one line. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows].map(row => row.map(printable))
  const widths = headings.map((_, i) => Math.max(...all.map(row => row[i]?.length ?? 0)))
  return all
    .map(
      row =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
