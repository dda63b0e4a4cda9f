/**
 * A running graph without sockets: the door of the `otlp` receiver, processors of all kinds, and a sink that has
 * protobufjs read all that arrives.
 */
import { setTimeout as delay } from 'node:timers/promises'
import * as z from 'zod'
import { components } from '../support/components.ts'
import { loadPlan } from '../../plan/load.ts'
import type { Batch } from '../../core/batch.ts'
import { Books } from '../../core/books.ts'
import { Budget, budgetKey } from '../../core/budget.ts'
import { defineExporter, defineReceiver, type ReceiverContext } from '../../core/component.ts'
import type { Answer as Heard, Outcome } from '../../core/delivery.ts'
import { Host } from '../../core/host.ts'
import { Journal } from '../../core/journal.ts'
import { MemoryPlan, memoryPlanKey } from '../../core/memory.ts'
import { BufferPool } from '../../core/pool.ts'
import { sending } from '../../core/sending.ts'
import { Listeners, listenersKey } from '../../net/listeners.ts'
import { Graph } from '../../pipelines/graph/graph.ts'
import { encodeGroups } from '../../proto/group.ts'
import { groupsToJson } from '../../proto/json-write.ts'
import { sampleResource } from '../../proto/sample.ts'
import { allSignals, type Signal } from '../../proto/signals.ts'
import { detailedText, normalText } from '../../proto/text.ts'
import { WireError } from '../../proto/wire.ts'
import { SelfReport, selfReportKey } from '../../telemetry/self-report.ts'
import { keepingLogger, type Line } from '../support/kymo.ts'
import { judge } from './oracle.ts'

/** The processors of the fuzzed pipelines, in the process of its own as well. */
export const processors = `
  memory_limiter: {check_interval: 1s, limit_mib: 2000}
  namespace_filter: {exclude: [ä]}
  resource:
    attributes:
      - {key: k8s.cluster.name, value: prod, action: upsert}
      - {key: a, action: delete}
      - {key: service.name, action: hash}
      - {key: copy, from_attribute: b, action: insert}
  attributes/edit:
    actions:
      - {key: b, action: delete}
      - {key: http.route, action: extract, pattern: '^(?P<one>.)(?P<two>.*)'}
      - {key: a, action: convert, converted_type: int}
      - {key: host.name, value: h, action: update}
  attributes/match:
    include: {match_type: regexp, resources: [{key: service.name, value: '.'}]}
    actions: [{key: password, action: hash}, {key: new, value: 1, action: upsert}]
  redaction:
    allow_all_keys: true
    blocked_key_patterns: ['.*token.*', '(?i)password']
    blocked_values: ['4[0-9]{12}(?:[0-9]{3})?', 'x+']
    redact_all_types: true
    summary: debug
  redaction/allow:
    allowed_keys: [a, b, service.name, k8s.namespace.name]
    hash_function: md5
    summary: info
  groupbyattrs: {keys: [host.name, a, http.route]}
  groupbyattrs/compact: {}
  probabilistic_sampler: {sampling_percentage: 50, mode: proportional, fail_closed: false}
  batch: {timeout: 2ms, send_batch_size: 60, send_batch_max_size: 100}
`

/** What stands between a receiver and the exporters of a signal; the second way gets the same data. */
export const ways = (signal: Signal): readonly [string, string] => [
  'memory_limiter, namespace_filter, resource, attributes/edit, redaction, groupbyattrs, batch',
  `${signal === 'metrics' ? '' : 'probabilistic_sampler, '}attributes/match, redaction/allow, groupbyattrs/compact, batch`,
]

const config = `
receivers: {fuzz: {}}
processors: ${processors}
connectors: {count: {}, forward: {}}
exporters: {check/one: {sending_queue: {queue_size: 100000}}, check/two: {sending_queue: {sizer: items, queue_size: 1000000, batch: {min_size: 40, max_size: 50, flush_timeout: 2ms}}}}
service:
  pipelines:
${allSignals
  .flatMap(signal => [
    `    ${signal}: {receivers: [fuzz], processors: [${ways(signal)[0]}], exporters: [check/one]}`,
    `    ${signal}/other: {receivers: [fuzz], processors: [${ways(signal)[1]}], exporters: [check/two${signal === 'metrics' ? '' : ', count'}]}`,
  ])
  .join('\n')}
    metrics/count: {receivers: [count], exporters: [check/two]}
`

/** A request on its way in. */
export interface Input {
  readonly signal: Signal
  readonly body: Buffer
  readonly json: boolean
}

/** What came of one: an outcome, or the text of the refusal at the door. */
export type Answer = Outcome['kind'] | { readonly refused: string }

/** What each round is checked by. */
export interface Found {
  /** Items that arrived at each exporter. */
  readonly arrived: Map<string, number>
  /** What protobufjs could not read, and why. */
  readonly unreadable: string[]
  /** What should never be. */
  readonly faults: string[]
}

/** The running graph. */
export interface Pipeline {
  /** Lets requests in all at once and waits until each is answered. */
  push(inputs: readonly Input[]): Promise<Answer[]>
  /** What was found since the last time. */
  take(): Found
  /** Waits until nothing is inside, and tells what is not as it should be. */
  settle(): Promise<string[]>
  stop(): Promise<void>
}

/** Builds and starts the graph. */
export async function startPipeline(): Promise<Pipeline> {
  const budget = new Budget(1 << 30)
  const books = new Books()
  const lines: Line[] = []
  const found = { arrived: new Map<string, number>(), unreadable: [] as string[], faults: [] as string[] }
  let door: ReceiverContext | undefined
  const receiver = defineReceiver({
    type: 'fuzz',
    stability: 'stable',
    summary: 'Pushes what it is told.',
    signals: allSignals,
    config: z.strictObject({}),
    examples: [],
    create(_, context) {
      door = context
      return {}
    },
  })
  const exporter = defineExporter({
    type: 'check',
    stability: 'stable',
    summary: 'Checks what it is sent.',
    signals: allSignals,
    ordering: 'none',
    config: z.strictObject(sending()),
    examples: [],
    create: (_, { id }) => ({
      async send(batch) {
        found.arrived.set(id, (found.arrived.get(id) ?? 0) + batch.items)
        check(batch, found)
        return undefined
      },
    }),
  })
  const { plan } = loadPlan({
    sources: [`yaml:${config}`],
    components: [...components, receiver, exporter],
    env: {},
  })
  const facts = { physical: 8 << 30, container: undefined, baseline: 0, young: 0, windows: 0 }
  const listeners = new Listeners()
  const host = new Host()
    .provide(budgetKey, budget)
    .provide(listenersKey, listeners)
    .provide(memoryPlanKey, new MemoryPlan(budget, facts))
    .provide(selfReportKey, new SelfReport({}, 'fuzz'))
  const graph = new Graph(plan, { host, log: keepingLogger(lines), books, journal: new Journal() })
  await graph.start()
  budget.limit = 1 << 30

  const enter = (input: Input): Promise<Answer> =>
    new Promise((resolve, reject) => {
      if (door === undefined) return reject(new TypeError('the receiver was not made'))
      const { signal, json } = input
      const body = budget.pool.take(input.body.length)
      body.set(input.body)
      const charge = BufferPool.cost(body.length)
      budget.charge(charge)
      const origin = door.origin({ transport: 'fuzz', peer: undefined })
      const answered = (answer: Heard): void =>
        resolve(answer.kind === 'malformed' ? { refused: answer.message } : answer.kind)
      if (json) door.enterJson(signal, body, charge, origin, { answered })
      else door.enter(signal, body, charge, origin, { answered })
    })

  return {
    push: inputs => Promise.all(inputs.map(enter)),
    take() {
      const faults = lines
        .splice(0)
        .filter(({ level }) => level === 'error')
        .map(({ message, fields }) => `log: ${message} ${JSON.stringify(fields)}`)
      const taken = { arrived: new Map(found.arrived), unreadable: found.unreadable.splice(0), faults }
      faults.push(...found.faults.splice(0))
      found.arrived.clear()
      return taken
    },
    async settle() {
      const until = performance.now() + 10_000
      const held = () => books.nodes.reduce((sum, node) => sum + node.held(), 0)
      while ((held() > 0 || budget.used > 0) && performance.now() < until) await delay(1)
      const faults = books.faults()
      if (held() > 0) faults.push(`${held()} items are still held`)
      if (budget.used !== 0) faults.push(`${budget.used} bytes are still charged`)
      return faults
    },
    async stop() {
      await graph.stop(2000)
      await listeners.close()
    },
  }
}

/** Has the oracle read a batch, and everything of ours that shows data to people. */
function check(batch: Batch, found: { unreadable: string[]; faults: string[] }): void {
  const { signal, groups, items } = batch
  const bytes = encodeGroups(groups)
  const verdict = judge(signal, bytes)
  if (verdict.error !== undefined) found.unreadable.push(`${verdict.error} in ${signal} ${bytes.toString('base64')}`)
  else if (verdict.items >= 0 && verdict.items !== items) {
    found.faults.push(`a batch of ${items} items has ${verdict.items}: ${signal} ${bytes.toString('base64')}`)
  }
  for (const show of [normalText, detailedText, groupsToJson]) {
    try {
      show(signal, groups)
    } catch (error) {
      // What cannot be read cannot be written as JSON; groups and fields of a wrong wire type are what
      // protobufjs passes over.
      const unwritable = verdict.error !== undefined || /wire type/.test(String(error))
      if (show === groupsToJson && error instanceof WireError && unwritable) continue
      found.faults.push(`${show.name}: ${String(error)} in ${signal} ${bytes.toString('base64')}`)
    }
  }
  for (const group of groups) sampleResource(group)
}
