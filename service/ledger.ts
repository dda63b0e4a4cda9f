/**
 * What became of items over a range of time. The books only count on; here they are read every ten seconds, and of that is
 * kept what has changed: an hour in steps of ten seconds, a day in steps of five minutes, beyond that only all of it.
 */
import type { Books, NodeBooks, NodeName, Reasons } from '../core/books.ts'
import { machineClock, type Clock, type Timer } from '../core/clock.ts'
import type { ReasonKind } from '../core/verdict.ts'
import { endless, type Room } from '../proto/room.ts'
import { allSignals, type Signal } from '../proto/signals.ts'

/** Milliseconds of one step, how long steps of that length are kept, and the same of the coarse ones. */
const fine = { step: 10_000, kept: 3_600_000 }
const coarse = { step: 300_000, kept: 86_400_000 }
/** Series that are told apart; the rest of a kind is one. */
const mostSeries = 2048
/** Bytes that all steps may take, those of a step besides its changes, and of a change. */
const mostBytes = 2 << 20
const stepCost = 160
const changeCost = 16

/** Items at the ends of the graph, by what they are: these are all that a signal's equation is made of. */
export const flows = ['in', 'recovered', 'copied', 'made', 'delivered', 'left', 'waiting'] as const
/** Ways that items end without having been delivered, each with a reason. `refused`: their sender was asked to come again. */
export const endings = ['dropped', 'rejected', 'dead_lettered', 'lost', 'refused'] as const
/** What the senders of a receiver were answered. */
export const answers = ['taken', 'accepted', 'answered_rejected', 'answered_refused'] as const

/** One of the above; `turned_away` are requests, not items. */
export type FlowKind = (typeof flows)[number]
export type LossKind = (typeof endings)[number]
export type SeriesKind = FlowKind | LossKind | (typeof answers)[number] | 'turned_away'

/** Items that ended without having been delivered, by how. */
export type LossTally = Record<LossKind, number>

/** None of any. */
export const noEndings = (): LossTally => ({ dropped: 0, rejected: 0, dead_lettered: 0, lost: 0, refused: 0 })

/** What has more stands higher, and what is gone for good above what is not. */
export const weightOf = ({ dropped, rejected, dead_lettered, lost, refused }: LossTally): number =>
  (lost + rejected > 0 ? 1e15 : 0) + lost + rejected + dead_lettered + refused + dropped

/** What is counted as one. */
export interface Series {
  readonly what: SeriesKind
  /** None of requests that were turned away before anybody knew. */
  readonly signal: Signal | undefined
  /** Where; undefined for what is of the whole graph, or of all nodes that are not told apart. */
  readonly node: Pick<NodeName, 'kind' | 'id' | 'pipeline'> | undefined
  readonly reason: string
  /** A count by value of a resource attribute: a part of one that has none. */
  readonly of?: { readonly key: string; readonly value: string }
}

/** A series as it was seen last. */
interface Seen extends Series {
  readonly number: number
  last: number
}

/** What has changed from one look at the books to a later one: number of the series and by how much, in turns. */
interface Step {
  readonly from: number
  readonly to: number
  readonly changes: Float64Array
}

/** What changed over a range. */
export interface Period {
  /** Milliseconds since the epoch: where it begins, at a look at the books. */
  readonly from: number
  readonly until: number
  /** It begins with the process. */
  readonly isWhole: boolean
  readonly changes: readonly (readonly [series: Series, items: number])[]
}

/** Reads the books of one process, and tells what changed. */
export class Ledger {
  readonly #books: Books
  readonly #clock: Clock
  readonly #room: Room
  readonly #began: number
  readonly #series: Seen[] = []
  /** By the counter itself, or by what it counts. */
  readonly #known = new Map<object | string, Seen>()
  /** The oldest first. */
  readonly #fine: Step[] = []
  readonly #coarse: Step[] = []
  #bytes = 0
  /** When the books were read last, and since when no step is missing. */
  #read: number
  #keptFrom: number
  #timer: Timer | undefined

  /** `room`: where memory is taken. Before now nothing was in the books. */
  constructor(books: Books, clock: Clock = machineClock, room: Room = endless) {
    this.#books = books
    this.#clock = clock
    this.#room = room
    this.#began = this.#read = this.#keptFrom = clock.now()
  }

  start(): void {
    this.#timer = this.#clock.every(fine.step, () => this.look())
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** Steps that are kept, and bytes that they take. */
  get size(): { readonly steps: number; readonly bytes: number } {
    return { steps: this.#fine.length + this.#coarse.length, bytes: this.#bytes }
  }

  /** What changed since `since`, in milliseconds since the epoch; where that is not kept any more, since the beginning. */
  over(since: number): Period {
    this.look()
    const [now, until] = [this.#clock.now(), this.#clock.wall()]
    const cut = now - (until - since)
    if (cut < this.#keptFrom) {
      const changes = this.#series.filter(({ last }) => last !== 0).map(series => [series, series.last] as const)
      return { from: until - (now - this.#began), until, isWhole: true, changes }
    }
    const steps = [...this.#coarse, ...this.#fine].filter(({ to }) => to > cut)
    const sums = new Map<Seen, number>()
    for (const { changes } of steps) {
      for (let i = 0; i < changes.length; i += 2) {
        const series = this.#series[changes[i] ?? -1]
        if (series !== undefined) sums.set(series, (sums.get(series) ?? 0) + (changes[i + 1] ?? 0))
      }
    }
    const from = Math.min(cut, steps[0]?.from ?? cut)
    return { from: until - (now - from), until, isWhole: false, changes: [...sums] }
  }

  /** What a series has in all. */
  total(what: FlowKind, signal: Signal): number {
    return this.#known.get(`${what} ${signal}`)?.last ?? 0
  }

  /** Reads the books once. */
  look(): void {
    const changes: number[] = []
    const note = (seen: Seen, value: number): void => {
      if (value === seen.last) return
      changes.push(seen.number, value - seen.last)
      seen.last = value
    }
    for (const { what, signal, items } of graphFlows(this.#books)) {
      const seen = this.#known.get(`${what} ${signal}`)
      if (seen !== undefined) note(seen, items)
      else if (items !== 0) note(this.#seen(`${what} ${signal}`, { what, signal, node: undefined, reason: '' }), items)
    }
    // What is told apart no more is added up.
    const rest = new Map<string, { series: Series; value: number }>()
    for (const { key, series, value } of countersOf(this.#books)) {
      const seen = this.#known.get(key) ?? (this.#series.length < mostSeries ? this.#seen(key, series()) : undefined)
      if (seen !== undefined) {
        note(seen, value)
        continue
      }
      const { what, signal, of } = series()
      // Its values are a part of what is counted anyway.
      if (of !== undefined) continue
      const name = `rest ${what} ${signal ?? ''}`
      const sum = rest.get(name)
      if (sum === undefined) rest.set(name, { series: { what, signal, node: undefined, reason: 'other' }, value })
      else sum.value += value
    }
    for (const [key, { series, value }] of rest) note(this.#seen(key, series), value)
    const now = this.#clock.now()
    if (changes.length > 0) this.#keep({ from: this.#read, to: now, changes: Float64Array.from(changes) })
    this.#read = now
    this.#age(now)
  }

  #seen(key: object | string, series: Series): Seen {
    let seen = this.#known.get(key)
    if (seen === undefined) {
      seen = { ...series, number: this.#series.length, last: 0 }
      this.#series.push(seen)
      this.#known.set(key, seen)
    }
    return seen
  }

  /** Somebody who asks between two steps makes none of their own. */
  #keep(step: Step): void {
    const last = this.#fine.at(-1)
    // Timers are late by a little.
    const isSame = last !== undefined && step.to - last.from < 1.5 * fine.step
    if (isSame) this.#drop(this.#fine, this.#fine.length - 1)
    this.#put(this.#fine, isSame ? merged(last, step) : step)
  }

  #put(list: Step[], step: Step): void {
    const cost = costOf(step)
    while (this.#bytes + cost > mostBytes || !this.#room.grow(cost)) if (!this.#forget()) return this.#miss(step)
    this.#bytes += cost
    list.push(step)
  }

  #drop(list: Step[], at: number): void {
    for (const step of list.splice(at, 1)) {
      this.#bytes -= costOf(step)
      this.#room.shrink(costOf(step))
    }
  }

  /** Ranges that begin before its end cannot be told any more. */
  #miss({ to }: Step): void {
    this.#keptFrom = Math.max(this.#keptFrom, to)
  }

  /** Makes room: of the oldest step less is kept. Says whether there was one. */
  #forget(): boolean {
    const [oldest] = this.#coarse
    if (oldest !== undefined) {
      this.#drop(this.#coarse, 0)
      this.#miss(oldest)
      return true
    }
    const [first] = this.#fine
    if (first === undefined) return false
    this.#drop(this.#fine, 0)
    this.#miss(first)
    return true
  }

  /** What is older than an hour is joined to coarser steps, what is older than a day goes. */
  #age(now: number): void {
    for (let first = this.#fine[0]; first !== undefined && first.to < now - fine.kept; first = this.#fine[0]) {
      this.#drop(this.#fine, 0)
      const last = this.#coarse.at(-1)
      const isSame = last !== undefined && first.to - last.from <= coarse.step
      if (isSame) this.#drop(this.#coarse, this.#coarse.length - 1)
      this.#put(this.#coarse, isSame ? merged(last, first) : first)
    }
    for (let first = this.#coarse[0]; first !== undefined && first.to < now - coarse.kept; first = this.#coarse[0]) {
      this.#drop(this.#coarse, 0)
      this.#miss(first)
    }
  }
}

const costOf = ({ changes }: Step): number => stepCost + (changeCost / 2) * changes.length

/** Two steps as one, the earlier first. */
function merged(first: Step, second: Step): Step {
  const sums = new Map<number, number>()
  for (const { changes } of [first, second]) {
    for (let i = 0; i < changes.length; i += 2) {
      const number = changes[i] ?? 0
      sums.set(number, (sums.get(number) ?? 0) + (changes[i + 1] ?? 0))
    }
  }
  return { from: first.from, to: second.to, changes: Float64Array.from([...sums].flat()) }
}

/** Items of one signal at the ends of the graph. */
interface FlowSum {
  readonly what: FlowKind
  readonly signal: Signal
  items: number
}

/** What entered, left and stands in the graph, by signal: sums of the nodes, in which what went from one to the next cancels out. */
function graphFlows(books: Books): readonly FlowSum[] {
  const sums = allSignals.flatMap(signal => flows.map((what): FlowSum => ({ what, signal, items: 0 })))
  const add = (what: FlowKind, signal: Signal, items: number): void => {
    if (items === 0) return
    const sum = sums.find(one => one.what === what && one.signal === signal)
    if (sum !== undefined) sum.items += items
  }
  const [fed, feeding] = [new Set<NodeBooks>(), new Set<NodeBooks>()]
  for (const { from, to, carried } of books.edges) {
    feeding.add(from)
    fed.add(to)
    if (from.name.signal === to.name.signal) continue
    // A connector makes data of one signal of that of another.
    add('made', from.name.signal, -carried)
    add('made', to.name.signal, carried)
  }
  for (const node of books.nodes) {
    const { signal } = node.name
    if (!fed.has(node)) add('in', signal, node.in)
    if (!feeding.has(node)) add('left', signal, node.out)
    add('recovered', signal, node.recovered)
    add('copied', signal, node.doubled)
    add('made', signal, node.created - node.consumed)
    add('delivered', signal, node.delivered)
    add('waiting', signal, node.held() + books.waiting(node))
  }
  return sums
}

/** One counter of the books; its series is made when it is new. */
interface Counted {
  readonly key: object | string
  readonly value: number
  readonly series: () => Series
}

function* countersOf(books: Books): Generator<Counted> {
  for (const node of books.nodes) {
    const { name } = node
    for (const [what, reasons] of endingsOf(node)) {
      for (const counter of reasons.all()) {
        const { reason, value } = counter
        if (value > 0) yield { key: counter, value, series: () => ({ what, signal: name.signal, node: name, reason }) }
      }
    }
    for (const { kind, counter, tally } of node.reasons.values()) {
      if (tally === undefined) continue
      const { key } = tally
      for (const one of tally.all()) {
        const of = { key, value: one.value }
        const series = { what: endingOf[kind], signal: name.signal, node: name, reason: counter.reason, of }
        yield { key: one, value: one.items, series: () => series }
      }
    }
    if (name.kind === 'receiver') yield* answersOf(node)
  }
  for (const { receiver, transport, refusals } of books.doors) {
    for (const [reason, value] of Object.entries(refusals)) {
      const node = { kind: 'receiver', id: receiver, pipeline: '' } as const
      const series = (): Series => ({ what: 'turned_away', signal: undefined, node, reason })
      if (value > 0) yield { key: `door ${receiver} ${transport} ${reason}`, value, series }
    }
  }
}

const endingOf: Readonly<Record<ReasonKind, LossKind>> = { rule: 'dropped', rejected: 'rejected', lost: 'lost' }

/** What is refused at a receiver was never taken in. */
const endingsOf = (node: NodeBooks): readonly (readonly [LossKind, Reasons])[] => [
  ['dropped', node.dropped],
  ['rejected', node.rejected],
  ['dead_lettered', node.deadLettered],
  ['lost', node.lost],
  ['refused', node.returned],
  ...(node.name.kind === 'receiver' ? [] : [['refused', node.refused] as const]),
]

function* answersOf(node: NodeBooks): Generator<Counted> {
  const { name, answered } = node
  const counts = [node.in, answered.accepted, answered.rejected, answered.refused]
  for (const [i, what] of answers.entries()) {
    const value = counts[i] ?? 0
    const key = `${what} ${name.id} ${name.signal}`
    if (value > 0) yield { key, value, series: () => ({ what, signal: name.signal, node: name, reason: '' }) }
  }
}
