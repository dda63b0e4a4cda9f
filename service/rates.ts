/** How fast items move: the books are looked at every few seconds, and five minutes of that are kept. */
import type { Books, NodeBooks } from '../core/books.ts'
import { elementAt } from '../core/element-at.ts'

/** Milliseconds between two looks. */
const interval = 5000
/** Five minutes of looks, and the one before. */
const looks = 61

/** Items per second at one component. */
export interface Pace {
  readonly in: number
  readonly out: number
  readonly delivered: number
  /** Gone from there, whatever became of them. */
  readonly ended: number
}

/** Numbers kept of each node at each look. */
const parts = 4

/** Items that are not at a node any more. */
function endedAt(node: NodeBooks): number {
  const { out, consumed, delivered, dropped, rejected, lost, deadLettered, returned } = node
  const reasons = [dropped, rejected, lost, deadLettered, returned]
  return reasons.reduce((sum, { total }) => sum + total, out + consumed + delivered)
}

/** Looks at the books and tells rates. */
export class Rates {
  readonly #books: Books
  /** When each look was, in milliseconds; a ring. */
  readonly #times: number[]
  /** What each node had at each look: in, out, delivered, ended. */
  readonly #counts = new Map<NodeBooks, Float64Array>()
  #last = 0
  #timer: NodeJS.Timeout | undefined

  /** `now` is the beginning: before it everything was 0. */
  constructor(books: Books, now = Date.now()) {
    this.#books = books
    this.#times = [now]
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), interval)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Looks once. */
  look(now = Date.now()): void {
    this.#last = (this.#last + 1) % looks
    this.#times[this.#last] = now
    const at = this.#last * parts
    const { nodes } = this.#books
    for (const node of nodes) {
      let counts = this.#counts.get(node)
      // What is new had nothing at the looks before.
      if (counts === undefined) this.#counts.set(node, (counts = new Float64Array(looks * parts)))
      counts[at] = node.in
      counts[at + 1] = node.out
      counts[at + 2] = node.delivered
      counts[at + 3] = endedAt(node)
    }
    if (this.#counts.size === nodes.length) return
    const standing = new Set(nodes)
    for (const node of this.#counts.keys()) if (!standing.has(node)) this.#counts.delete(node)
  }

  /** The pace of `node` over the last `window` milliseconds, or since the beginning if that is less. */
  of(node: NodeBooks, window: number, now = Date.now()): Pace {
    const look = this.#lookBefore(now - window)
    const counts = this.#counts.get(node)
    // Less than a second says nothing.
    const seconds = Math.max(1, (now - elementAt(this.#times, look)) / 1000)
    const before = (part: number) => counts?.[look * parts + part] ?? 0
    return {
      in: (node.in - before(0)) / seconds,
      out: (node.out - before(1)) / seconds,
      delivered: (node.delivered - before(2)) / seconds,
      ended: (endedAt(node) - before(3)) / seconds,
    }
  }

  /** The latest look that was not after `time`, or the first there is. */
  #lookBefore(time: number): number {
    const { length } = this.#times
    for (let back = 0; back < length - 1; back++) {
      const look = (this.#last - back + length) % length
      if (elementAt(this.#times, look) <= time) return look
    }
    return (this.#last + 1) % length
  }
}
