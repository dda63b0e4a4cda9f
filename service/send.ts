/** `/v1/send`: one item of a test into a pipeline, at the door of it, and what became of it. */
import { randomBytes } from 'node:crypto'
import { quoted, suggest } from '../config/nearest.ts'
import type { Batch } from '../core/batch.ts'
import type { Books } from '../core/books.ts'
import type { Budget } from '../core/budget.ts'
import type { Chronicle } from '../core/chronicle.ts'
import type { ConfiguredPipeline } from '../core/configured.ts'
import type { Context } from '../core/context.ts'
import type { Answer, Listener } from '../core/delivery.ts'
import { Entrance } from '../core/entrance.ts'
import type { RunningComponent } from '../core/health.ts'
import type { Journal, JournalRecord } from '../core/journal.ts'
import { encodeNumberMetric } from '../proto/metric-write.ts'
import type { Signal } from '../proto/signals.ts'
import { encodeLogRecord, encodeRequest, encodeSpan } from '../telemetry/otlp-write.ts'
import { type ActionRoute, batchDocument, type Route } from './api.ts'
import { Query, QueryError, wordsOf } from './query.ts'
import type { Entrances } from './replay.ts'
import { sendEnd, sendSteps } from './send-steps.ts'

/** Receiver and transport of test items, in books, journal and context. */
const sendName = 'send'
/** How an item is recognised at the destination, and whose it is unless said. */
const idKey = 'kymo.test.id'
const usualService = 'kymo-send'
/** Items that are remembered; milliseconds between two; the longest text of one, and attributes of it or its resource. */
const mostKept = 16
const interval = 1000
const longestText = 4096
const mostAttributes = 32

/** What sending needs of the process. */
export interface SendsParts {
  readonly books: Books
  readonly journal: Journal
  readonly budget: Budget
  readonly chronicle: Chronicle
  readonly version: string
  /** The graph, while it takes data. */
  graph():
    | (Partial<Entrances> & {
        readonly components: readonly RunningComponent[]
        readonly pipelines?: readonly ConfiguredPipeline[]
      })
    | undefined
}

/** What an item has in it. */
interface ItemWords {
  /** How it is recognised. */
  readonly id: string
  readonly attributes: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly name: string | undefined
  readonly value: string | undefined
}

/** An item on its way. Its record is the journal's, which may have let go of it. */
class Sent implements Listener {
  readonly id: string
  readonly pipeline: string
  record: JournalRecord | undefined
  isSettled = false
  /** What stood against it at the door. */
  error: string | undefined

  constructor(id: string, pipeline: string) {
    this.id = id
    this.pipeline = pipeline
  }

  answered(answer: Answer): void {
    if (answer.kind === 'refused') this.error = answer.error.message
    else if (answer.kind === 'malformed') this.error = answer.message
    else if (answer.kind !== 'success') this.error = answer.reason
  }

  ended(): void {
    this.isSettled = true
  }
}

/** What `/v1/send` tells of one item. */
export type SendDocument = ReturnType<Sends['document']>

/** The test items of one process. */
export class Sends {
  readonly #parts: SendsParts
  /** The oldest first. */
  readonly #sent: Sent[] = []
  #last = -Infinity

  constructor(parts: SendsParts) {
    this.#parts = parts
  }

  get routes(): readonly (Route | ActionRoute)[] {
    return [
      { path: '/v1/send', deed: false, act: (body, by) => this.#send(body, by) },
      { path: '/v1/send/*', answer: id => this.#one(id) },
    ]
  }

  /** What is known of an item by now. */
  document({ id, pipeline, error, isSettled }: Sent, record: JournalRecord) {
    const graph = this.#parts.graph()
    const connectors = new Set(graph?.components.flatMap(one => (one.kind === 'connector' ? [one.id] : [])))
    const steps = sendSteps(pipeline, { record, pipelines: graph?.pipelines ?? [], connectors, isSettled })
    return {
      test_id: id,
      pipeline,
      /** What became of it so far: only `delivered` means that every destination has it. */
      end: sendEnd(steps),
      steps,
      ...(error === undefined ? {} : { error }),
      batch: batchDocument(record),
    }
  }

  #one(id: string): SendDocument {
    const sent = this.#sent.find(one => one.id === id)
    if (sent?.record !== undefined) return this.document(sent, sent.record)
    const hint = `the last ${mostKept} are remembered; \`kymo batches --receiver ${sendName}\` lists what the journal has`
    throw new QueryError(404, 'there is no test item with this id', hint)
  }

  #send({ attributes, resource, ...body }: Readonly<Record<string, unknown>>, by: string): SendDocument {
    const query = new Query(wordsOf(body), ['pipeline', 'body', 'name', 'value'])
    const graph = this.#parts.graph()
    if (graph?.entrance === undefined)
      throw new QueryError(503, 'nothing runs here that takes data', 'is it starting or stopping?')
    const { id: pipeline, signal } = chosen(query.text('pipeline'), graph.pipelines ?? [])
    const id = randomBytes(8).toString('hex')
    const words: ItemWords = {
      id,
      attributes: { ...attributesIn('attributes', attributes), [idKey]: id },
      body: textIn('body', query),
      name: textIn('name', query),
      value: textIn('value', query),
    }
    const item = itemOf(signal, words)
    const about = { 'service.name': usualService, ...attributesIn('resource', resource) }
    const bytes = encodeRequest(about, this.#parts.version, [item])
    this.#pace()
    const sent = this.#enter({ id, pipeline, signal, bytes })
    if (sent.record === undefined) throw new QueryError(503, sent.error ?? 'the item could not be handed in')
    const { chronicle } = this.#parts
    const fields = { pipeline, test_id: id, batch: sent.record.id, by }
    chronicle.note({ kind: 'action', text: 'a test item was sent', fields })
    return this.document(sent, sent.record)
  }

  #pace(): void {
    const { budget } = this.#parts
    if (budget.pressed || budget.crowded) {
      throw new QueryError(503, 'memory is short: senders are asked to come again', '`kymo status` says what has it')
    }
    const now = performance.now()
    if (now - this.#last < interval)
      throw new QueryError(409, 'an item was sent less than a second ago', 'wait for a second')
    this.#last = now
  }

  #enter({ id, pipeline, signal, bytes }: { id: string; pipeline: string; signal: Signal; bytes: Buffer }): Sent {
    const { books: all, budget, journal } = this.#parts
    const books = all.node({ kind: 'receiver', id: sendName, pipeline: '', signal })
    const push = this.#parts.graph()?.entrance?.(pipeline, books)
    if (push === undefined) throw new QueryError(409, `pipeline \`${pipeline}\` is not there any more`)
    const origin: Context = {
      receiver: sendName,
      transport: sendName,
      peer: undefined,
      metadata: undefined,
      auth: undefined,
      isFollowed: true,
    }
    const sent = new Sent(id, pipeline)
    const entrance = new Entrance(
      budget,
      (batch: Batch) => {
        const answers = books.answersTo(sendName)
        for (const { delivery } of batch.shares) delivery.reportTo(answers)
        journal.received(books.name, batch)
        sent.record = batch.shares[0]?.delivery.record
        books.in += batch.items
        books.out += batch.items
        push(batch)
      },
      false,
    )
    budget.charge(bytes.length)
    entrance.enter(signal, bytes, bytes.length, origin, sent)
    if (this.#sent.push(sent) > mostKept) this.#sent.shift()
    return sent
  }
}

/** The pipeline that is meant: the only one, where none is said. @throws QueryError */
function chosen(id: string | undefined, all: readonly ConfiguredPipeline[]): ConfiguredPipeline {
  const ids = all.map(one => one.id)
  const found = id === undefined ? (all.length === 1 ? all[0] : undefined) : all.find(one => one.id === id)
  if (found !== undefined) return found
  const those = `pipelines: ${quoted(ids)}`
  if (id === undefined) throw new QueryError(400, 'say into which pipeline', those)
  throw new QueryError(404, `there is no pipeline \`${id}\` here`, suggest(id, ids, those))
}

function textIn(name: string, query: Query): string | undefined {
  const text = query.text(name)
  if (text === undefined || text.length <= longestText) return text
  throw new QueryError(400, `\`${name}\` is longer than ${longestText} characters`)
}

function attributesIn(name: string, value: unknown): Record<string, string> {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new QueryError(400, `\`${name}\` is no object of texts`)
  const entries = Object.entries(value)
  if (entries.length > mostAttributes) throw new QueryError(400, `\`${name}\` has more than ${mostAttributes} keys`)
  return Object.fromEntries(
    entries.map(([key, text]: [string, unknown]): [string, string] => {
      if (typeof text !== 'string') throw new QueryError(400, `\`${name}\`: \`${key}\` is no text`)
      if (key.length + text.length <= longestText) return [key, text]
      throw new QueryError(400, `\`${name}\`: an attribute is longer than ${longestText} characters`)
    }),
  )
}

/** What an item of a signal may be told, besides attributes. */
const wordsFor: Readonly<Record<Signal, readonly ('body' | 'name' | 'value')[]>> = {
  logs: ['body'],
  traces: ['name'],
  metrics: ['name', 'value'],
}

function itemOf(signal: Signal, words: ItemWords): Buffer {
  const may = wordsFor[signal]
  for (const word of ['body', 'name', 'value'] as const) {
    if (words[word] !== undefined && !may.includes(word))
      throw new QueryError(400, `an item of ${signal} has no \`${word}\``, `it has ${quoted(may)}`)
  }
  return writers[signal](words, Date.now())
}

const writers: Readonly<Record<Signal, (words: ItemWords, now: number) => Buffer>> = {
  logs: ({ body = 'a test of kymo send', attributes }, at) =>
    encodeLogRecord({ at, level: 'info', message: body, attributes }),
  traces: ({ name = 'kymo send', attributes }, now) =>
    encodeSpan({
      traceId: randomBytes(16),
      spanId: randomBytes(8),
      parentId: undefined,
      name,
      kind: 'internal',
      start: now - 1,
      end: now,
      attributes,
      error: undefined,
    }),
  metrics({ name = 'kymo.send', value = '1', attributes }, now) {
    const number = Number(value)
    if (!Number.isFinite(number)) throw new QueryError(400, `\`value\`: \`${value}\` is no number`)
    const points = [{ attributes, value: number }]
    const shape = { description: '', unit: '', kind: 'gauge', fractional: true } as const
    return encodeNumberMetric({ name, ...shape, start: now, now, points })
  },
}
