/** The last lines of the log, in memory. */

/** Most lines, and most bytes that they take. */
export const mostLines = 1000
export const mostBytes = 512 * 1024
/** A longer line is not kept as it is: it would push out too many others. */
const longestLine = 64 * 1024
/** Bytes that a line takes besides its text. */
const lineCost = 48

interface Kept {
  readonly text: string
  readonly bytes: number
}

/** A ring of lines; each is kept as the text that was written, and read only when somebody asks. */
export class LogTail {
  readonly #lines: (Kept | undefined)[] = Array.from({ length: mostLines })
  /** Number of the oldest line that is kept, and of the one that comes next. */
  #from = 0
  #next = 0
  #bytes = 0

  /** Bytes that the lines take. */
  get bytes(): number {
    return this.#bytes
  }

  /** Lines that were written so far. */
  get written(): number {
    return this.#next
  }

  /** Lines that are kept. */
  get size(): number {
    return this.#next - this.#from
  }

  /** A line was written: JSON, with or without an end of line. */
  add(line: string): void {
    const text = line.length > longestLine ? shortened(line) : line
    const bytes = bytesOf(text)
    while (this.size > 0 && (this.size >= mostLines || this.#bytes + bytes > mostBytes)) this.#forget()
    this.#lines[this.#next % mostLines] = { text, bytes }
    this.#bytes += bytes
    this.#next++
  }

  /** The lines from the newest to the oldest, with their numbers: the first that was ever written is 1. */
  *newestFirst(): Generator<readonly [number: number, line: string]> {
    for (let at = this.#next - 1; at >= this.#from; at--) {
      const kept = this.#lines[at % mostLines]
      if (kept !== undefined) yield [at + 1, kept.text]
    }
  }

  #forget(): void {
    const at = this.#from++ % mostLines
    this.#bytes -= this.#lines[at]?.bytes ?? 0
    this.#lines[at] = undefined
  }
}

/** A text that has one letter beyond Latin-1 takes two bytes for each. */
const bytesOf = (text: string): number => lineCost + text.length * (/[^\0-\u00ff]/.test(text) ? 2 : 1)

/** What is kept of a line that is too long: where it came from, and how it begins. */
function shortened(line: string): string {
  const { ts, level, module, msg } = JSON.parse(line) as Readonly<Record<string, unknown>>
  const begin = String(msg).slice(0, 1000)
  return JSON.stringify({ ts, level, module, msg: begin, too_long: `${line.length} characters, not kept` })
}
