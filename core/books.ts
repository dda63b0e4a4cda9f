/**
 * The books: at every node and edge of the graph, every item is accounted for. Units are spans, log records and data
 * points. One mutable record per node and edge; reasons are made into counters when the graph is built, so that the hot
 * path only adds to fields.
 *
 * Node: in + created + recovered = out + consumed + dropped + rejected + lost + returned + held.
 * Edges, at both ends: out + doubled = carried by all edges out of it + what waits on the way; in + refused = carried by all into it.
 * Destination: in + recovered = delivered + rejected + dead-lettered + lost + returned + dropped + held.
 */
import type { Signal } from '../proto/signals.ts'
import type { Outcome, OutcomeTally } from './delivery.ts'
import { ValueTally } from './value-tally.ts'
import type { Reason, ReasonKind } from './verdict.ts'

/** One number with a name. */
export interface Counter {
  readonly reason: string
  value: number
}

/** Counters by reason, made once each. */
export class Reasons {
  readonly #counters = new Map<string, Counter>()

  /** The counter of `reason`; keep it where it is used often. */
  of(reason: string): Counter {
    let counter = this.#counters.get(reason)
    if (counter === undefined) this.#counters.set(reason, (counter = { reason, value: 0 }))
    return counter
  }

  get total(): number {
    let total = 0
    for (const counter of this.#counters.values()) total += counter.value
    return total
  }

  /** Every counter that was ever asked for. */
  all(): Iterable<Counter> {
    return this.#counters.values()
  }
}

/** What stands for a node in metrics and logs. */
export interface NodeName {
  readonly kind: 'receiver' | 'processor' | 'connector' | 'exporter'
  /** `type` or `type/name`. */
  readonly id: string
  /** `signal` or `signal/name`; empty for what serves several pipelines. */
  readonly pipeline: string
  readonly signal: Signal
}

/** Of a receiver: items that came over one transport, by what their sender was answered. */
export class AnswerTally implements OutcomeTally {
  readonly transport: string
  readonly #node: { maybeTwice: number }
  accepted = 0
  rejected = 0
  refused = 0

  constructor(transport: string, node: { maybeTwice: number }) {
    this.transport = transport
    this.#node = node
  }

  tally(items: number, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'success':
        this.accepted += items
        return
      case 'partial':
        this.accepted += items - outcome.rejected
        this.rejected += outcome.rejected
        return
      case 'rejected':
        this.rejected += items
        return
      case 'refused':
        this.refused += items
        this.#node.maybeTwice += outcome.mayBeSentTwice
    }
  }
}

/** The account of one node. */
export class NodeBooks {
  readonly name: NodeName
  /** Of a receiver: what was answered, by transport. */
  readonly answers: AnswerTally[] = [];
  /** Items that came in, not counting those refused at the door. */
  in = 0
  /** Items made here: derived data. */
  created = 0
  /** Items found in storage at start. */
  recovered = 0
  /** Items handed on. */
  out = 0
  /** Items more that were handed on because they went to several at once. */
  doubled = 0
  /** Its component left the configuration; the account stays. */
  retired = false
  /** Items of which other data was made, which is what goes on. */
  consumed = 0
  /** Items a destination has taken. */
  delivered = 0
  /** Dropped by a rule of the configuration. */
  readonly dropped = new Reasons()
  /** Refused for good, by a destination or by a step that cannot read them. */
  readonly rejected = new Reasons()
  /** Given up: neither delivered nor returned. */
  readonly lost = new Reasons()
  /** Kept apart with a reason, to be replayed. */
  readonly deadLettered = new Reasons()
  /** Taken, then given back to the sender, who keeps it. */
  readonly returned = new Reasons()
  /** Never `in`: turned away at the door. */
  readonly refused = new Reasons()
  /** Items that may have arrived although the attempt failed. */
  maybeTwice = 0
  /** Items in which text was no UTF-8 and was mended. */
  mended = 0
  /** Faults of the component that were caught: it threw where it must not, or did not answer for what it was given. */
  internalFaults = 0
  /** Attempts to send, and those that failed. */
  attempts = 0
  failedAttempts = 0
  /** Reasons that its step has asked for. */
  readonly reasons = new Map<string, Reason>()
  /** Counts what is inside; more than one while a reload hands over from one instance to the next. */
  readonly #holders = new Set<() => number>()

  constructor(name: NodeName) {
    this.name = name
  }

  /** Lets `count` count what a part of this node has inside, until the returned function is called. */
  holds(count: () => number): () => void {
    this.#holders.add(count)
    return () => void this.#holders.delete(count)
  }

  /** A reason for which items end here, the same each time; `by` is the resource attribute that decides, if one does. */
  reason(name: string, kind: ReasonKind, by?: string): Reason {
    const key = `${kind} ${name} ${by ?? ''}`
    let reason = this.reasons.get(key)
    if (reason === undefined) {
      const counters = { rule: this.dropped, rejected: this.rejected, lost: this.lost }
      const tally = by === undefined ? undefined : new ValueTally(by)
      this.reasons.set(key, (reason = { kind, counter: counters[kind].of(name), tally }))
    }
    return reason
  }

  /** Items inside now, counted from the structures that hold them. */
  held(): number {
    let items = 0
    for (const count of this.#holders) items += count()
    return items
  }

  /** Counts answers to those who send over `transport`. */
  answersTo(transport: string): AnswerTally {
    const { answers } = this
    for (const one of answers) if (one.transport === transport) return one
    const made = new AnswerTally(transport, this)
    answers.push(made)
    return made
  }

  /** Of a receiver: items by what their sender was answered. */
  get answered(): { accepted: number; rejected: number; refused: number } {
    const sum = { accepted: 0, rejected: 0, refused: 0 }
    for (const { accepted, rejected, refused } of this.answers) {
      sum.accepted += accepted
      sum.rejected += rejected
      sum.refused += refused
    }
    return sum
  }

  /** What is unaccounted for; anything but 0 is a fault of Kymo. */
  balance(): number {
    const came = this.in + this.created + this.recovered
    const went =
      this.out +
      this.consumed +
      this.delivered +
      this.dropped.total +
      this.rejected.total +
      this.lost.total +
      this.deadLettered.total +
      this.returned.total
    return came - went - this.held()
  }
}

/** What went over the connection of two nodes. */
export class EdgeBooks {
  readonly from: NodeBooks
  readonly to: NodeBooks
  /** Items handed over, whether they were taken or refused at the door. */
  carried = 0

  constructor(from: NodeBooks, to: NodeBooks) {
    this.from = from
    this.to = to
  }
}

/** Requests that a receiver turned away before anybody knew what was in them: too large, no memory, malformed. */
export interface Door {
  readonly receiver: string
  readonly transport: string
  /** Requests by reason; read whenever somebody asks. */
  readonly refusals: Readonly<Record<string, number>>
  /** The same by the status they were answered with, too. */
  readonly tallies: readonly StatusTally[]
  /** What senders take up there, where that is limited. */
  readonly usage?: Readonly<Record<string, Usage>>
}

/** Requests that were turned away with one status, for one reason. */
export interface StatusTally {
  /** HTTP status, or name of the gRPC code; `none` where nobody could be answered. */
  readonly status: string
  readonly reason: string
  readonly requests: number
}

/** What is asked of a receiver when somebody wants to know how its door is. */
export interface DoorSources {
  readonly usage?: () => Readonly<Record<string, Usage>>
  /** What was turned away by status and reason; where nobody hears a status it is not there. */
  readonly tallies?: () => readonly StatusTally[]
}

/** How near something is to its limit, if it has one. */
export interface Usage {
  readonly used: number
  readonly limit: number | undefined
}

/** What was turned away at one door, over all instances of its receiver. */
class CountedDoor implements Door {
  readonly receiver: string
  readonly transport: string
  readonly #past = new Map<string, number>()
  readonly #pastTallies = new Map<string, StatusTally>()
  readonly #counts = new Set<Readonly<Record<string, number>>>()
  readonly #tallies = new Set<() => readonly StatusTally[]>()
  readonly #usages: (() => Readonly<Record<string, Usage>>)[] = []

  constructor(receiver: string, transport: string) {
    this.receiver = receiver
    this.transport = transport
  }

  get refusals(): Record<string, number> {
    const sum = Object.fromEntries(this.#past)
    for (const counts of this.#counts)
      for (const [reason, n] of Object.entries(counts)) sum[reason] = (sum[reason] ?? 0) + n
    return sum
  }

  get tallies(): readonly StatusTally[] {
    const sum = new Map(this.#pastTallies)
    for (const tallies of this.#tallies) addTallies(sum, tallies())
    return [...sum.values()]
  }

  /** That of the latest instance: one that it has replaced is ending. */
  get usage(): Readonly<Record<string, Usage>> {
    return this.#usages.at(-1)?.() ?? {}
  }

  add(counts: Readonly<Record<string, number>>, sources: DoorSources): () => void {
    const { usage, tallies = () => talliesOf(counts) } = sources
    this.#counts.add(counts)
    this.#tallies.add(tallies)
    if (usage !== undefined) this.#usages.push(usage)
    return () => {
      if (usage !== undefined && this.#usages.includes(usage)) this.#usages.splice(this.#usages.indexOf(usage), 1)
      if (this.#tallies.delete(tallies)) addTallies(this.#pastTallies, tallies())
      if (!this.#counts.delete(counts)) return
      for (const [reason, n] of Object.entries(counts)) this.#past.set(reason, (this.#past.get(reason) ?? 0) + n)
    }
  }
}

function addTallies(sum: Map<string, StatusTally>, more: readonly StatusTally[]): void {
  for (const one of more) {
    const key = `${one.status} ${one.reason}`
    sum.set(key, { ...one, requests: one.requests + (sum.get(key)?.requests ?? 0) })
  }
}

const talliesOf = (counts: Readonly<Record<string, number>>): StatusTally[] =>
  Object.entries(counts).map(([reason, requests]) => ({ status: 'none', reason, requests }))

/** All accounts of one process. They stay when their component goes: counters never go back. */
export class Books {
  readonly nodes: NodeBooks[] = []
  readonly edges: EdgeBooks[] = []
  readonly doors: Door[] = []
  readonly #nodeByName = new Map<string, NodeBooks>()
  readonly #edgeByEnds = new Map<NodeBooks, Map<NodeBooks, EdgeBooks>>()
  readonly #doorByName = new Map<string, CountedDoor>()
  readonly #waits = new Set<(from: NodeBooks) => number>()

  /** The account of `name`, the same each time. */
  node(name: NodeName): NodeBooks {
    const key = `${name.kind} ${name.id} ${name.pipeline} ${name.signal}`
    let node = this.#nodeByName.get(key)
    if (node === undefined) {
      node = new NodeBooks(name)
      this.#nodeByName.set(key, node)
      this.nodes.push(node)
    }
    return node
  }

  /** What goes from one to the other, the same each time. */
  edge(from: NodeBooks, to: NodeBooks): EdgeBooks {
    let edges = this.#edgeByEnds.get(from)
    if (edges === undefined) this.#edgeByEnds.set(from, (edges = new Map()))
    let edge = edges.get(to)
    if (edge === undefined) {
      edge = new EdgeBooks(from, to)
      edges.set(to, edge)
      this.edges.push(edge)
    }
    return edge
  }

  /** Lets `count` count what nodes handed on that stands between two of them, until the returned function is called. */
  waits(count: (from: NodeBooks) => number): () => void {
    this.#waits.add(count)
    return () => void this.#waits.delete(count)
  }

  /**
   * Counts `refusals` at the door of a receiver, and asks `sources` how it is, until the returned function is called; what was
   * counted stays.
   */
  door(
    receiver: string,
    transport: string,
    refusals: Readonly<Record<string, number>>,
    sources: DoorSources = {},
  ): () => void {
    const key = `${receiver} ${transport}`
    let door = this.#doorByName.get(key)
    if (door === undefined) {
      door = new CountedDoor(receiver, transport)
      this.#doorByName.set(key, door)
      this.doors.push(door)
    }
    return door.add(refusals, sources)
  }

  /** Faults of components that were caught where nobody knows whose they are. */
  stray = 0

  /** Faults of components that were caught. */
  get internalFaults(): number {
    return this.nodes.reduce((sum, node) => sum + node.internalFaults, this.stray)
  }

  /** Every equation that does not hold, in words; empty when the books balance. */
  faults(): string[] {
    const faults: string[] = []
    const left = new Map<NodeBooks, number>()
    const arrived = new Map<NodeBooks, number>()
    for (const { from, to, carried } of this.edges) {
      left.set(from, (left.get(from) ?? 0) + carried)
      arrived.set(to, (arrived.get(to) ?? 0) + carried)
    }
    for (const node of this.nodes) {
      const { kind, id, pipeline, signal } = node.name
      const place = `${kind} ${id} (${pipeline || signal})`
      const tell = (where: string, difference: number): void => {
        if (difference !== 0) faults.push(`${where}${place}: ${difference} items unaccounted for`)
      }
      tell('', node.balance())
      const [out, into] = [left.get(node), arrived.get(node)]
      if (out !== undefined) tell('edges out of ', node.out + node.doubled - out - this.waiting(node))
      if (into !== undefined) tell('edges into ', into - node.in - node.refused.total)
    }
    return faults
  }

  /** Items that `from` has handed on and that stand before the next node, waiting for room. */
  waiting(from: NodeBooks): number {
    let items = 0
    for (const count of this.#waits) items += count(from)
    return items
  }
}
