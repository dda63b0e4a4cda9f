/** Numbers, times and foreign texts as a terminal shows them. */

/** A count in few letters: 999, 12.3k, 4.5M. */
export function count(n: number): string {
  if (n === 0) return '0'
  if (Math.abs(n) < 10 && !Number.isInteger(n)) return n.toFixed(1)
  if (Math.abs(n) < 1000) return String(Math.round(n))
  const units = ['k', 'M', 'G', 'T']
  let value = n / 1000
  let unit = 0
  while (Math.abs(value) >= 999.95 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value < 100 ? value.toFixed(1) : Math.round(value)}${units[unit]}`
}

/** Bytes in few letters: 999 B, 12.3 KiB, 4.5 MiB. */
export function size(bytes: number): string {
  if (!Number.isFinite(bytes)) return 'any amount'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** Milliseconds in few letters: 0.4ms, 12ms, 3.4s, 5m, 2h, 3d. */
export function span(milliseconds: number): string {
  if (milliseconds < 10) return `${Number(milliseconds.toFixed(1))}ms`
  if (milliseconds < 1000) return `${Math.round(milliseconds)}ms`
  const seconds = milliseconds / 1000
  if (seconds < 10) return `${Number(seconds.toFixed(1))}s`
  if (seconds < 100) return `${Math.round(seconds)}s`
  if (seconds < 6000) return `${Math.round(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)}h`
  return `${Math.round(seconds / 86_400)}d`
}

/** How long ago a time was, as it is told in JSON. */
export const since = (time: string | null, now = Date.now()): string =>
  time === null ? '' : span(Math.max(0, now - Date.parse(time)))

/** A time of this machine's zone: of today without the day. */
export function clock(time: string | null, now = new Date()): string {
  if (time === null) return ''
  const at = new Date(time)
  const two = (n: number) => String(n).padStart(2, '0')
  const hours = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  if (at.toDateString() === now.toDateString()) return hours
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${hours}`
}

// eslint-disable-next-line no-control-regex -- these are what is looked for
const obeyed = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g

/** Text from elsewhere on one line, without what a terminal would obey, or what turns the direction of the text behind it. */
export const printable = (text: string): string => text.replaceAll(obeyed, ' ')

/** The same, with what was there to be seen: `\u001b[2J`. */
export const escaped = (text: string): string =>
  text.replaceAll(obeyed, all =>
    Array.from(all, one => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
  )

/** Text cut to `width`. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}

/** How wide lines may be. */
export function terminalWidth(): number {
  return Math.min(160, Math.max(80, process.stdout.columns || 120))
}

/** Rows in which the columns at `right` are aligned to the right, for a table that pads what it is given. */
export function alignRight(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number>,
): { headings: string[]; rows: string[][] } {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map(row => row[i]?.length ?? 0)))
  const align = (row: readonly string[]) => row.map((cell, i) => (right.has(i) ? cell.padStart(widths[i] ?? 0) : cell))
  return { headings: align(headings), rows: rows.map(align) }
}
