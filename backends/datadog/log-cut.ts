/** Entries that are too large for Datadog's log intake, made smaller. */

/** What stands where a text was cut; the Agent's own. */
const marker = '...TRUNCATED...'

/** How much is left of attributes where a message cut to this is not enough. */
const leftOver = 1000

/** An entry of at most about `most` bytes: first its message is cut, then its other long texts, then its attributes go. */
export function cutEntry(entry: Record<string, unknown>, most: number, keeps: ReadonlySet<string>): string {
  const { message, ...rest } = entry
  const room = most - Buffer.byteLength(JSON.stringify(rest)) - 64
  if (room >= leftOver) return JSON.stringify({ ...rest, message: cutText(String(message), room) })
  const short = Object.fromEntries(Object.entries(entry).map(([key, value]) => [key, cutValue(value)]))
  const json = JSON.stringify(short)
  if (Buffer.byteLength(json) <= most) return json
  return JSON.stringify(Object.fromEntries(Object.entries(short).filter(([key]) => keeps.has(key))))
}

function cutValue(value: unknown): unknown {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return text.length <= leftOver ? value : cutText(text, leftOver)
}

/** The beginning of a text that is at most `most` bytes as JSON, with a mark. */
function cutText(text: string, most: number): string {
  const size = (length: number): number => Buffer.byteLength(JSON.stringify(text.slice(0, length)))
  if (size(text.length) <= most) return text
  let low = 0
  let high = Math.min(text.length, most)
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (size(middle) + marker.length <= most) low = middle
    else high = middle - 1
  }
  // Half of a character that takes two units is none.
  const last = text.charCodeAt(low - 1)
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? low - 1 : low) + marker
}
