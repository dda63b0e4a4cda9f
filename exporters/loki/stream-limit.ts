/** Keeps the number of streams in bounds: labels with too many values make one stream each, which Loki refuses or dies of. */
import { LabelSet, serviceName, unknownService } from '../../backends/loki/labels.ts'
import type { StreamChoice } from '../../backends/loki/target.ts'
import { endless, type Room, textCost } from '../../proto/room.ts'

/** What is known of a stream in use. */
interface Known {
  readonly set: LabelSet
  used: number
}

/** Bytes of a stream and of one of its labels, besides their texts. */
const streamCost = 400
const labelCost = 100

/** Bytes that a stream takes: its labels stand in its text, too. */
const costOf = ({ text, labels }: LabelSet): number => streamCost + labels.length * labelCost + 2 * textCost(text)

/** So many names of labels are tried to do without: more there are only where names are made up. */
const mostTried = 64

/** Milliseconds for which it is not looked again which labels have the most values, or which streams are idle. */
const look = 10_000

/** Streams of one destination, of all tenants together. */
export class StreamLimit implements StreamChoice {
  #most = 0
  #idle = 0
  #fixed: ReadonlySet<string> = new Set()
  readonly #now: () => number
  readonly #room: Room
  readonly #known = new Map<string, Known>()
  #looked = -Infinity
  /** Names of labels, those with the most values first. */
  #order: readonly string[] = []

  /**
   * @param most how many streams there may be; 0 sets no limit
   * @param idle milliseconds after which a stream without data does not count any more
   * @param fixed names of labels that are the same everywhere
   * @param now milliseconds since some moment
   * @param room where memory for what is known of streams is taken
   */
  constructor(most: number, idle: number, fixed: Iterable<string>, now: () => number, room: Room = endless) {
    this.#room = room
    this.#now = now
    this.limit(most, idle, fixed)
  }

  /** Sets other limits, from now on, to what is known already. */
  limit(most: number, idle: number, fixed: Iterable<string>): void {
    this.#most = most
    this.#idle = idle
    this.#fixed = new Set(fixed)
  }

  /** How many streams are in use. */
  get streams(): number {
    return this.#known.size
  }

  choose(set: LabelSet): LabelSet {
    if (this.#most === 0) return set
    const now = this.#now()
    // A tenth is left for streams with fewer labels.
    const most = this.#most - Math.max(2, Math.ceil(this.#most / 10))
    if (this.#admit(set, now, most)) return set
    this.#look(now)
    if (this.#admit(set, now, most)) return set
    let { labels } = set
    for (const name of this.#order) {
      if (name === serviceName || !labels.some(label => label.name === name)) continue
      labels = labels.filter(label => label.name !== name)
      const fewer = new LabelSet(labels)
      if (this.#admit(fewer, now, this.#most - 1)) return fewer
    }
    const fixed = labels.filter(({ name }) => this.#fixed.has(name) && name !== serviceName)
    const last = new LabelSet([...fixed, { name: serviceName, value: unknownService }])
    this.#admit(last, now, Infinity)
    return last
  }

  /** Whether the stream is one of those in use, or may be. */
  #admit(set: LabelSet, now: number, most: number): boolean {
    const known = this.#known.get(set.text)
    if (known !== undefined) {
      known.used = now
      return true
    }
    if (this.#known.size >= most || !this.#room.grow(costOf(set))) return false
    this.#known.set(set.text, { set, used: now })
    return true
  }

  #look(now: number): void {
    if (now - this.#looked < look) return
    this.#looked = now
    const values = new Map<string, Set<string>>()
    for (const [text, { set, used }] of this.#known) {
      if (now - used >= this.#idle) {
        this.#known.delete(text)
        this.#room.shrink(costOf(set))
        continue
      }
      for (const { name, value } of set.labels) {
        if (this.#fixed.has(name)) continue
        const all = values.get(name)
        if (all === undefined) values.set(name, new Set([value]))
        else all.add(value)
      }
    }
    this.#order = [...values]
      .toSorted(([, a], [, b]) => b.size - a.size)
      .slice(0, mostTried)
      .map(([name]) => name)
  }
}
