/** A graph of toy components: a receiver that tests push through, exporters that do what tests say. */
import * as z from 'zod'
import { Batch } from '../../core/batch.ts'
import type { Context } from '../../core/context.ts'
import { Books } from '../../core/books.ts'
import { Budget, budgetKey } from '../../core/budget.ts'
import {
  type Attempt,
  type Definition,
  defineExporter,
  defineReceiver,
  type Exporter,
  type ReceiverContext,
  type Sent,
} from '../../core/component.ts'
import type { Use } from '../../core/capability.ts'
import type { ConfiguredComponent } from '../../core/configured.ts'
import { Delivery, type Ended, type Listener, type Outcome } from '../../core/delivery.ts'
import { Host } from '../../core/host.ts'
import { Journal } from '../../core/journal.ts'
import { Lease } from '../../core/lease.ts'
import { silent } from '../../core/logger.ts'
import type { Prepared } from '../../core/reload.ts'
import { sending, type SendingConfig } from '../../core/sending.ts'
import { storageKey } from '../../core/storage.ts'
import { Graph } from '../../pipelines/graph/graph.ts'
import { type Plan, planOf } from '../../plan/plan.ts'
import { planReload } from '../../plan/reload.ts'
import { encodeGroups } from '../../proto/group.ts'
import { readRequest } from '../../proto/request.ts'
import type { Signal } from '../../proto/signals.ts'
import { spanNames } from './otlp-bytes.ts'

const context: Context = { receiver: 'toy', transport: 'test', peer: undefined, metadata: undefined, auth: undefined }

/** What a toy exporter does with a batch. */
export type Behaviour = (batch: Batch, abort: AbortSignal, attempt: Attempt) => Promise<Sent | undefined>

/** An exporter under a test's control. */
export class ToySink implements Exporter {
  /** Names of all spans of each successful send, in order. */
  readonly taken: string[][] = []
  /** Names in each attempt. */
  readonly attempts: string[][] = []
  readonly batches: Batch[] = []
  behave: Behaviour = () => Promise.resolve(undefined)

  async send(batch: Batch, attempt: Attempt): Promise<Sent | undefined> {
    const names = spanNames(encodeGroups(batch.groups))
    this.attempts.push(names)
    this.batches.push(batch)
    const sent = await this.behave(batch, attempt.signal, attempt)
    this.taken.push(names)
    return sent
  }

  /** Every name that was taken. */
  get all(): string[] {
    return this.taken.flat()
  }
}

/** One outcome, once it is there. */
export interface Pushed {
  readonly outcome: Promise<Outcome>
  /** Whoever pushes it can read it again, and asks. */
  readonly ended: Promise<Ended>
  readonly delivery: Delivery
}

/** What a toy graph is made of. */
export interface ToyParts {
  readonly exporters: Record<string, object>
  /** What must leave the exporters in order. */
  readonly ordering?: 'none' | 'series'
  readonly pipelines?: readonly ToyPipeline[]
  readonly components?: Record<string, { definition: Definition; config?: object; uses?: readonly Use[] }>
}

export interface ToyGraph {
  readonly plan: Plan
  readonly graph: Graph
  readonly books: Books
  readonly journal: Journal
  readonly budget: Budget
  readonly sinks: Record<string, ToySink>
  /** Pushes a request through receiver `toy`. */
  push(body: Buffer, more?: { signal?: Signal; metadata?: Record<string, string> }): Pushed
  /** Pushes a request that is let in a piece at a time: one sender waits for all of them. */
  pushInPieces(bodies: readonly Buffer[]): Pushed
  /** Pushes a request through another receiver. */
  pushTo(receiver: { push(batch: Batch): void }, body: Buffer): Pushed
  /** Pushes data nobody waits for. */
  pushUnattended(body: Buffer): void
  /** Makes other parts ready to run; `sinks` has the new instances from then on. */
  prepare(parts: ToyParts): Promise<Prepared>
  /** Runs other parts from now on; `sinks` has the new instances. Resolves as that of the graph. */
  reload(parts: ToyParts, deadline?: number): Promise<{ readonly over: Promise<void> }>
}

/** What a pipeline of a toy graph is made of. */
export interface ToyPipeline {
  readonly id?: string
  readonly receivers?: readonly string[]
  readonly processors?: readonly string[]
  readonly exporters: readonly string[]
}

/** Builds and starts a graph: exporters by id with their shared keys, further components by id. */
export async function toyGraph(
  parts: ToyParts & {
    host?: Host
    /** Of the context of what is pushed. */
    transport?: string
  },
): Promise<ToyGraph> {
  const sinks: Record<string, ToySink> = {}
  let receiver: ReceiverContext | undefined
  const toyReceiver = defineReceiver({
    type: 'toy',
    stability: 'stable',
    summary: 'Pushes what a test says.',
    signals: ['traces', 'metrics', 'logs'],
    config: z.strictObject({}),
    examples: [],
    create(_config, given) {
      receiver = given
      return {}
    },
  })
  const schema = z.strictObject(sending())
  const toyExporter = defineExporter({
    type: 'sink',
    stability: 'stable',
    summary: 'Does what a test says.',
    signals: ['traces', 'metrics', 'logs'],
    ordering: parts.ordering ?? 'none',
    config: schema,
    examples: [],
    create(_config, { id }) {
      return (sinks[id] = new ToySink())
    },
  })
  const configure = (of: ToyParts): Plan => planFor(of, toyReceiver, toyExporter, schema)
  const plan = configure(parts)
  const books = new Books()
  const journal = new Journal()
  const budget = parts.host?.find(budgetKey) ?? new Budget(1 << 30)
  const host = parts.host ?? new Host().provide(budgetKey, budget)
  const graph = new Graph(plan, { host, log: silent, books, journal })
  await graph.start()
  const batchOf = (
    body: Buffer,
    signal: Signal,
    onEnd: ((outcome: Outcome) => void) | undefined,
    metadata?: Record<string, string>,
    onEnded?: (end: Ended) => void,
  ) => {
    const request = readRequest(signal, body)
    const delivery = new Delivery(request.items, onEnd && listener(onEnd, onEnded))
    budget.charge(body.length)
    const map = metadata && new Map(Object.entries(metadata).map(([k, v]) => [k, [v]]))
    const from = { ...context, metadata: map, transport: parts.transport ?? context.transport }
    return { delivery, batch: Batch.of(signal, request, from, delivery, new Lease(budget, body.length, request.items)) }
  }
  const pushed = (
    to: { push(batch: Batch): void } | undefined,
    body: Buffer,
    more: { signal?: Signal; metadata?: Record<string, string> } = {},
  ): Pushed => {
    let end: (outcome: Outcome) => void = () => {}
    const outcome = new Promise<Outcome>(resolve => (end = resolve))
    let ends = 0
    const onEnd = (one: Outcome): void => {
      if (++ends > 1) throw new Error('delivery ended twice')
      end(one)
    }
    const ended = Promise.withResolvers<Ended>()
    let goods = 0
    const onEnded = (one: Ended): void => {
      if (++goods > 1) throw new Error('delivery ended for good twice')
      ended.resolve(one)
    }
    const { delivery, batch } = batchOf(body, more.signal ?? 'traces', onEnd, more.metadata, onEnded)
    to?.push(batch)
    return { outcome, ended: ended.promise, delivery }
  }
  const prepare = (after: ToyParts): Promise<Prepared> => {
    const to = configure(after)
    return graph.prepare(to, planReload(graph.plan, to))
  }
  return {
    plan,
    graph,
    async reload(after, deadline = 1000) {
      return (await prepare(after)).commit(deadline)
    },
    prepare,
    books,
    journal,
    budget,
    sinks,
    push: (body, more) => pushed(receiver, body, more),
    pushInPieces(bodies) {
      const pieces = bodies.map(body => readRequest('traces', body))
      const items = pieces.reduce((sum, piece) => sum + piece.items, 0)
      const outcome = Promise.withResolvers<Outcome>()
      const ended = Promise.withResolvers<Ended>()
      const delivery = new Delivery(items, listener(outcome.resolve, ended.resolve))
      for (const piece of pieces) {
        const size = piece.groups.reduce((sum, { start, end }) => sum + end - start, 0)
        budget.charge(size)
        receiver?.push(Batch.of('traces', piece, context, delivery, new Lease(budget, size, piece.items)))
      }
      return { outcome: outcome.promise, ended: ended.promise, delivery }
    },
    pushTo: (to, body) => pushed(to, body),
    pushUnattended(body) {
      receiver?.push(batchOf(body, 'traces', undefined).batch)
    },
  }
}
const listener = (onEnd: (outcome: Outcome) => void, onEnded?: (end: Ended) => void): Listener => ({
  answered: one => void (one.kind !== 'malformed' && onEnd(one)),
  ...(onEnded && { ended: onEnded }),
})

function planFor(
  parts: ToyParts,
  toyReceiver: ConfiguredComponent<'receiver'>['definition'],
  toyExporter: ConfiguredComponent<'exporter'>['definition'],
  schema: z.ZodType<SendingConfig>,
): Plan {
  const entries = Object.entries(parts.components ?? {}).map(([id, { definition, config, uses = [] }]) => ({
    id,
    definition,
    config: definition.config.parse(config ?? {}),
    uses,
  }))
  const of = (kind: string) =>
    new Map(entries.filter(one => one.definition.kind === kind).map(one => [one.id, one])) as never
  const exporters = Object.entries(parts.exporters).map(([id, given]) => {
    const config = schema.parse(given)
    const { storage } = config.sending_queue
    const uses = storage ? [{ path: 'sending_queue.storage', id: storage, needs: storageKey.name }] : []
    return [id, { id, definition: toyExporter, config, uses }] as const
  })
  return planOf({
    receivers: new Map([
      ['toy', { id: 'toy', definition: toyReceiver, config: {}, uses: [] }],
      ...(of('receiver') as Map<string, never>),
    ]),
    processors: of('processor'),
    exporters: new Map([...exporters, ...(of('exporter') as Map<string, never>)]),
    connectors: of('connector'),
    extensions: of('extension'),
    started: entries.filter(one => one.definition.kind === 'extension').map(one => one.id),
    pipelines: (parts.pipelines ?? [{ exporters: Object.keys(parts.exporters) }]).map(one => ({
      id: one.id ?? 'traces',
      signal: (one.id ?? 'traces').split('/')[0] as Signal,
      receivers: one.receivers ?? ['toy'],
      processors: one.processors ?? [],
      exporters: one.exporters,
    })),
  })
}
