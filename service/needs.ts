/** What a person has to look into, the most pressing first, each with the command that goes on from there. */
import type { Books, NodeBooks } from '../core/books.ts'
import type { Budget } from '../core/budget.ts'
import type { Dismissal } from '../core/dismissal.ts'
import type { RunningComponent } from '../core/health.ts'
import type { Shortage } from '../core/shortage.ts'
import type { State } from '../core/status.ts'
import type { QueueTotals, Storage } from '../core/storage.ts'
import type { QueueFigures } from '../telemetry/family.ts'
import { budgetUsedUp } from '../net/refusal.ts'
import type { NamedStorage } from './queue-pages.ts'
import type { LastReload } from './reloads.ts'
import { type Foreseen, fullIn } from './outlook.ts'
import type { Pace } from './rates.ts'
import { type Attention, time } from './status.ts'

/** What is looked at. */
export interface Signs {
  readonly books: Books
  readonly budget: Pick<Budget, 'pressed'>
  readonly components: readonly RunningComponent[]
  readonly queues: readonly QueueFigures[]
  readonly storages: readonly NamedStorage<StorageSigns>[]
  readonly orphans: readonly { readonly owner: string; readonly items: number; readonly oldest: string | null }[]
  readonly lastReload: LastReload | undefined
  readonly phase?: string
  /** For want of what senders are refused now. */
  readonly shortages: readonly Shortage[]
  /** What was turned away of whom, the latest first. */
  readonly dismissals: readonly Dismissal[]
  /** What was said of something that ended so. */
  readonly said?: (how: 'lost' | 'rejected') => string | undefined
  /** Items a second at a node over the last minute; without it nothing is told of rates. */
  readonly pace?: (node: NodeBooks) => Pick<Pace, 'in' | 'delivered' | 'ended'>
  /** How long there is room yet; without it nothing is told of that. */
  readonly outlook?: Foreseen
  /** Faults of Kymo. */
  readonly faults: number
}

interface StorageSigns extends Pick<Storage, 'trouble'> {
  readonly deadLetters: DeadLetters
  list(): readonly { readonly totals: Pick<QueueTotals, 'corrupt'> }[]
}

type DeadLetters = { readonly backlog: { readonly records: number; readonly items: number } } | undefined

/** States that do not end by themselves. */
const forGood: ReadonlySet<State> = new Set(['PermanentError', 'FatalError'])

/** All that needs somebody; nothing when all is well. */
export function needs(signs: Signs): Attention[] {
  return [
    ...fromFaults(signs),
    ...fromStop(signs),
    ...fromReload(signs.lastReload),
    ...signs.components.flatMap(component => [...fromComponent(component, signs)]),
    ...fromQueues(signs),
    ...signs.shortages.map(shortage => fromShortage(shortage, signs)),
    ...fromDoors(signs.dismissals),
    ...fromStorages(signs),
    ...fromLosses(signs),
  ]
}

function* fromFaults({ books, faults, budget }: Signs): Generator<Attention> {
  for (const fault of books.faults()) {
    yield {
      what: `the books do not balance: ${fault}`,
      command: 'kymo status --json, and report it as a fault of Kymo',
    }
  }
  if (faults > 0) {
    const what = `${faults} ${faults === 1 ? 'fault' : 'faults'} of Kymo since it was started`
    yield { what, command: 'the log has each as INTERNAL: please report them' }
  }
  if (budget.pressed)
    yield { what: 'memory is over its limit: senders are asked to come again', command: 'kymo status --sort queue' }
}

/** While it stops: what is waited for, where, and why. */
function* fromStop({ phase, components, ...signs }: Signs): Generator<Attention> {
  if (phase !== 'stopping') return
  for (const { kind, id, status } of components) {
    if (kind !== 'exporter') continue
    const items = heldAt(id, signs.books)
    if (items === 0) continue
    const why = status.lastError === undefined ? 'it has not answered yet' : status.lastError
    yield {
      what: `stopping: ${counted(items, 'item')} at exporter ${id} not delivered yet; what is not on disk is lost at the deadline: ${why}`,
      command: 'kymo losses --since 24h',
    }
  }
}

function* fromReload(last: LastReload | undefined): Generator<Attention> {
  if (last?.result !== 'failed') return
  const [first, ...more] = last.errors ?? []
  const where = first?.file === undefined ? '' : `${first.file}:${first.line ?? 1}: `
  const rest = more.length === 0 ? '' : ` (and ${more.length} more)`
  yield {
    what: `the last reload failed, what ran before goes on: ${where}${first?.message ?? 'no reason is known'}${rest}`,
    since: time(last.at),
    command: 'kymo reload --dry-run',
  }
}

function* fromComponent({ kind, id, pipeline, status }: RunningComponent, signs: Signs): Generator<Attention> {
  const isForGood = forGood.has(status.state)
  if (!isForGood && status.state !== 'RecoverableError') return
  const name = `${kind} ${id}${pipeline === undefined ? '' : ` of ${pipeline}`}`
  const waiting = kind === 'exporter' ? waitingAt(id, signs) : ''
  const next = kind === 'exporter' && !isForGood ? nextAttemptAt(id, signs) : ''
  const { demand, lastError = 'it does not say why' } = status
  const verdict = isForGood ? 'does not work, and will not by itself' : 'is in trouble'
  if (demand !== undefined) {
    const what = `${name} needs another configuration${waiting}: ${lastError}; ${demand}`
    return yield { what, since: time(status.since), command: `kymo check --connect --running ${id}` }
  }
  yield {
    what: `${name} ${verdict}${waiting}: ${lastError}${next}`,
    since: time(status.since),
    command:
      kind === 'exporter' ? `kymo batches --component ${id} --what attempt_failed` : `kymo status --filter ${id}`,
  }
}

const fromShortage = ({ cause, since, requests }: Shortage, signs: Signs): Attention => ({
  what: `senders are refused, ${counted(requests, 'request')} so far: ${cause}${cause === budgetUsedUp ? whoHolds(signs) : ''}`,
  since: time(since),
  // What has no room, and how much there is of it; whose it is stands among the senders.
  command: cause.startsWith('the storage of') ? 'kymo queue ls' : 'kymo senders --sort refused',
})

/** Reasons for which senders are turned away for good: one of both sides has to be set up in another way. */
const wrong: ReadonlySet<string> = new Set(['malformed', 'unserved', 'too_large', 'denied', 'handshake', 'rejected'])
/** Milliseconds for which they are told of after the last. */
const recent = 600_000

function* fromDoors(dismissals: readonly Dismissal[]): Generator<Attention> {
  const found = dismissals.filter(({ what, last }) => wrong.has(what.reason) && Date.now() - last < recent)
  if (found.length === 0) return
  const counts = new Map<string, number>()
  for (const { what, times } of found) counts.set(what.reason, (counts.get(what.reason) ?? 0) + times)
  const reasons = [...counts].map(([reason, times]) => `${times} ${reason}`).join(', ')
  const peers = new Set(found.map(({ what }) => what.network)).size
  yield {
    what: `${counted(peers, 'sender')} turned away for good lately: ${reasons}`,
    since: time(Math.min(...found.map(({ first }) => first))),
    command: 'kymo senders --refused',
  }
}

/** Items that an exporter has, and that have not ended. */
function heldAt(id: string, { nodes }: Pick<Books, 'nodes'>): number {
  let items = 0
  for (const node of nodes) if (node.name.kind === 'exporter' && node.name.id === id) items += node.held()
  return items
}

/** Who has most of what is on its way. */
function whoHolds({ books, components }: Signs): string {
  const held = components
    .filter(({ kind }) => kind === 'exporter')
    .map(({ id }) => ({ id, items: heldAt(id, books) }))
    .sort((a, b) => b.items - a.items)
  const [most] = held
  if (most === undefined || most.items === 0) return ''
  return `; ${counted(most.items, 'item')} wait at exporter ${most.id}`
}

/** A queue as full as this that fills is told before it is full. */
const fillsFrom = 0.2

/** Queues that fill although their destination takes data: it is slower than what comes. */
function* fromQueues({ queues, books, components, pace }: Signs): Generator<Attention> {
  for (const queue of queues) {
    const { id, signal, queueSize, queueCapacity } = queue
    const component = components.find(one => one.kind === 'exporter' && one.id === id)
    const node = books.nodes.find(({ name }) => name.kind === 'exporter' && name.id === id && name.signal === signal)
    // One in trouble is told of as such, and a full one by those it refuses.
    if (pace === undefined || node === undefined || component?.status.state !== 'OK') continue
    if (queueSize < fillsFrom * queueCapacity) continue
    const rate = pace(node)
    const seconds = fullIn(queue, node.held(), rate)
    if (seconds === undefined) continue
    const { in: comes, delivered } = rate
    const rates = `${rateOf(comes)} items/s come, ${rateOf(delivered)} are taken`
    const full = `${Math.round((100 * queueSize) / queueCapacity)}% of its queue`
    yield {
      what: `exporter ${id} takes less ${signal} than come: ${rates}; ${full} is used, and all in about ${lasting(seconds)}`,
      command: 'kymo status --sort queue',
    }
  }
}

const rateOf = (rate: number): string => (rate < 10 ? rate.toFixed(1) : String(Math.round(rate)))

/** What is further away, in seconds, is told by the documents alone. */
const foreseeable = 86_400

/** What waits at an exporter, how full its fullest queue is, and when that is full. */
function waitingAt(id: string, { books, queues, outlook }: Signs): string {
  const items = heldAt(id, books)
  if (items === 0) return ''
  const mine = queues.filter(queue => queue.id === id && queue.queueCapacity > 0)
  if (mine.length === 0) return `, ${counted(items, 'item')} waiting`
  const full = Math.max(...mine.map(({ queueSize, queueCapacity }) => Math.round((100 * queueSize) / queueCapacity)))
  const seconds = Math.min(...mine.map(queue => outlook?.ofQueue(queue) ?? Infinity))
  const soon = seconds < foreseeable ? `, full in about ${lasting(seconds)}` : ''
  return `, ${counted(items, 'item')} waiting (${full}% of its queue${soon})`
}

/** When the first of what waits is given up for its age, and when it is tried; where that is not at once something can be done. */
function nextAttemptAt(id: string, { queues }: Signs): string {
  const ages = queues.flatMap(queue => (queue.id === id && queue.expiresIn !== undefined ? [queue.expiresIn] : []))
  const oldest = Math.min(...ages) / 1000
  const expires = oldest < foreseeable ? `; the oldest is given up in about ${lasting(oldest)}` : ''
  const waits = queues.flatMap(queue => (queue.id === id && queue.nextAttempt !== undefined ? [queue.nextAttempt] : []))
  const next = Math.min(...waits)
  return next > 0 && next < Infinity
    ? `${expires}; next attempt in ${Math.ceil(next / 1000)} s, or at once: \`kymo retry ${id}\``
    : expires
}

function* fromStorages({ storages, orphans, outlook }: Signs): Generator<Attention> {
  for (const { id, storage } of storages) {
    const { trouble, deadLetters } = storage
    const corrupt = storage.list().reduce((sum, { totals }) => sum + totals.corrupt, 0)
    if (corrupt > 0) {
      const what = `${counted(corrupt, 'item')} of storage ${id} could not be read back from its disk`
      yield { what, command: 'kymo queue ls, and the log: it names the files' }
    }
    if (trouble !== undefined)
      yield { what: `storage ${id} takes nothing (${trouble.kind}): ${trouble.message}`, command: 'kymo queue ls' }
    const seconds = outlook?.ofStorage(id) ?? Infinity
    if (seconds < foreseeable) {
      const what = `storage ${id} is full in about ${lasting(seconds)} as things go now: from then on senders are refused`
      yield { what, command: 'kymo queue ls' }
    }
    const { records = 0, items = 0 } = deadLetters?.backlog ?? {}
    if (records > 0)
      yield {
        what: `${counted(items, 'item')} in ${counted(records, 'dead letter')} of storage ${id}`,
        command: 'kymo queue ls --dead-letters',
      }
  }
  for (const { owner, items, oldest } of orphans) {
    const what = `${counted(items, 'item')} of ${owner} on disk that no exporter sends any more`
    yield { what, since: oldest, command: 'kymo queue ls' }
  }
}

/** What is gone for good, in a line for each way to go: it stays so however well all is by now. */
function* fromLosses({ books: { nodes }, said }: Signs): Generator<Attention> {
  const exporters = nodes.filter(({ name }) => name.kind === 'exporter')
  yield* gone('lost', nodes, 'lost', said)
  yield* gone('rejected by their destination', exporters, 'rejected', said)
}

function* gone(
  how: string,
  nodes: readonly NodeBooks[],
  what: 'lost' | 'rejected',
  said: Signs['said'],
): Generator<Attention> {
  const counts = new Map<string, number>()
  for (const node of nodes)
    for (const { reason, value } of node[what].all())
      if (value > 0) counts.set(reason, (counts.get(reason) ?? 0) + value)
  if (counts.size === 0) return
  const total = [...counts.values()].reduce((sum, value) => sum + value, 0)
  const reasons = [...counts].map(([reason, value]) => `${value} ${reason}`).join(', ')
  const example = said?.(what)
  yield {
    what: `${counted(total, 'item')} ${how} for good since the start: ${reasons}${example === undefined ? '' : `; such as: ${example}`}`,
    command: 'kymo losses --since 24h',
  }
}

/** Seconds in the unit that fits them. */
function lasting(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}

const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`
