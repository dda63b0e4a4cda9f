/** Who was told what of which item, and how often each arrived. Millions of items take a few bytes each. */

/** What is known of the items of one sender, one byte each. */
interface Column {
  /** Times sent, up to 255. */
  sent: Uint8Array
  /** 1: a success was heard. */
  acknowledged: Uint8Array
  /** Times seen at the destination, up to 255. */
  seen: Uint8Array
  /** Counters used so far. */
  next: number
}

/** All of it added up. */
export interface Account {
  /** Different items that were sent. */
  readonly items: number
  readonly acknowledged: number
  /** Different items that arrived. */
  readonly arrived: number
  /** Acknowledged, and not at the destination: must be 0. */
  readonly missing: number
  /** A few of the missing ones, as `sender:counter`. */
  readonly examples: readonly string[]
  /** Items beyond the first of each id at the destination. */
  readonly doubled: number
  /** Of those, what is more than the sender sent. */
  readonly doubledByKymo: number
  /** Arrived and never sent: must be 0. */
  readonly strangers: number
  /** Arrived with other bytes than were sent: must be 0. */
  readonly harmed: number
}

export class Ledger {
  readonly #columns: Column[] = []
  #strangers = 0
  #harmed = 0
  /** Items seen at the destination, doubles too. */
  seen = 0

  /** A number for a new sender. */
  join(): number {
    this.#columns.push({
      sent: new Uint8Array(1 << 16),
      acknowledged: new Uint8Array(1 << 16),
      seen: new Uint8Array(1 << 16),
      next: 0,
    })
    return this.#columns.length - 1
  }

  /** The next `items` counters of a sender. */
  take(sender: number, items: number): number {
    const column = this.#columns[sender]
    const first = column.next
    column.next += items
    if (column.next > column.sent.length) {
      column.sent = grown(column.sent)
      column.acknowledged = grown(column.acknowledged)
      column.seen = grown(column.seen)
    }
    return first
  }

  sent(sender: number, first: number, items: number): void {
    const { sent } = this.#columns[sender]
    for (let i = first; i < first + items; i++) if (sent[i] < 255) sent[i]++
  }

  /** It turned out that nobody was there to send to. */
  unsent(sender: number, first: number, items: number): void {
    const { sent } = this.#columns[sender]
    for (let i = first; i < first + items; i++) sent[i]--
  }

  acknowledged(sender: number, first: number, items: number): void {
    this.#columns[sender].acknowledged.fill(1, first, first + items)
  }

  /** An item is at the destination. */
  saw(sender: number, counter: number, intact: boolean): void {
    this.seen++
    if (!intact) this.#harmed++
    const column = this.#columns[sender] as Column | undefined
    if (column === undefined || counter >= column.next || column.sent[counter] === 0) this.#strangers++
    else if (column.seen[counter] < 255) column.seen[counter]++
  }

  /** Times an item was seen. */
  timesSeen(sender: number, counter: number): number {
    return this.#columns[sender].seen[counter]
  }

  /** Adds up; `expected` says which of the acknowledged have to be there, all by default. */
  account(expected: (sender: number, counter: number) => boolean = () => true): Account {
    const sum = { items: 0, acknowledged: 0, arrived: 0, missing: 0, doubled: 0, doubledByKymo: 0 }
    const examples: string[] = []
    for (const [number, { sent, acknowledged, seen, next }] of this.#columns.entries()) {
      for (let i = 0; i < next; i++) {
        if (sent[i] > 0) sum.items++
        sum.acknowledged += acknowledged[i]
        if (seen[i] > 0) {
          sum.arrived++
          sum.doubled += seen[i] - 1
          sum.doubledByKymo += Math.max(0, seen[i] - sent[i])
        } else if (acknowledged[i] === 1 && expected(number, i)) {
          sum.missing++
          if (examples.length < 5) examples.push(`${number}:${i}`)
        }
      }
    }
    return { ...sum, examples, strangers: this.#strangers, harmed: this.#harmed }
  }
}

function grown(bytes: Uint8Array): Uint8Array {
  const larger = new Uint8Array(bytes.length * 2)
  larger.set(bytes)
  return larger
}
