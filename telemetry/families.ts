/**
 * Every metric that Kymo has of itself: the Collector's `otelcol_*` names, so that dashboards go on working, and the
 * books under `kymo_*`, which say of every item where it went and why. docs/metrics.md is made from this table.
 */
import type { Books, NodeBooks, Reasons } from '../core/books.ts'
import type { Budget } from '../core/budget.ts'
import type { Kind } from '../core/component.ts'
import type { State } from '../core/status.ts'
import { allSignals, type Signal, signals } from '../proto/signals.ts'
import type { Family, Row } from './metrics.ts'

/** What the process says of itself. */
export interface ProcessFigures {
  readonly uptimeSeconds: number
  readonly cpuSeconds: number
  readonly rssBytes: number
  readonly heapUsedBytes: number
  readonly heapTotalBytes: number
  readonly externalBytes: number
  /** Share of the time in which the event loop was busy, since the last scrape. */
  readonly eventLoopUtilization: number
}

/** The queue of one exporter and signal. */
export interface QueueFigures {
  readonly id: string
  readonly signal: Signal
  readonly queueSize: number
  readonly queueCapacity: number
  readonly inFlight: number
}

/** What the metrics are read from. */
export interface MetricSources {
  readonly books: Books
  readonly budget: Budget
  readonly memory: { readonly hard: number; readonly soft: number }
  readonly version: string
  process(): ProcessFigures
  exporters(): readonly QueueFigures[]
  components(): readonly { kind: Kind; id: string; status: { state: State } }[]
  /** Faults of Kymo itself that were caught. */
  faults(): number
}

type OwnFamily = Family<MetricSources>

const counter = (name: string, help: string, labels: readonly string[], read: OwnFamily['read']): OwnFamily => ({
  name,
  type: 'counter',
  help,
  labels,
  read,
})
const gauge = (name: string, help: string, labels: readonly string[], read: OwnFamily['read']): OwnFamily => ({
  name,
  type: 'gauge',
  help,
  labels,
  read,
})
const one = (name: string, help: string, value: (sources: MetricSources) => number): OwnFamily =>
  gauge(name, help, [], sources => [{ labels: {}, value: value(sources) }])
const total = (name: string, help: string, value: (sources: MetricSources) => number): OwnFamily =>
  counter(name, help, [], sources => [{ labels: {}, value: value(sources) }])

/** One family per signal, as the Collector has them. */
function perSignal(
  kind: NodeBooks['name']['kind'],
  name: string,
  help: (noun: string) => string,
  value: (node: NodeBooks) => number,
): OwnFamily[] {
  return allSignals.map(signal =>
    counter(`otelcol_${kind}_${name}_${signals[signal].metricNoun}`, help(signals[signal].noun), [kind], sources =>
      sources.books.nodes
        .filter(node => node.name.kind === kind && node.name.signal === signal)
        .map(node => ({ labels: { [kind]: node.name.id }, value: value(node) })),
    ),
  )
}

function perProcessor(name: string, help: string, value: (node: NodeBooks) => number): OwnFamily {
  return counter(name, help, ['processor', 'otel_signal'], sources =>
    sources.books.nodes
      .filter(node => node.name.kind === 'processor')
      .map(node => ({ labels: { processor: node.name.id, otel_signal: node.name.signal }, value: value(node) })),
  )
}

function perQueue(
  name: string,
  help: string,
  value: (queue: QueueFigures) => number,
  having: (queue: QueueFigures) => boolean = () => true,
): OwnFamily {
  return gauge(name, help, ['exporter', 'data_type'], sources =>
    sources
      .exporters()
      .filter(having)
      .map(queue => ({ labels: { exporter: queue.id, data_type: queue.signal }, value: value(queue) })),
  )
}

const hasQueue = (queue: QueueFigures) => queue.queueCapacity > 0

const turnedAwayByQueue = (node: NodeBooks) => node.refused.total + reason(node.lost, 'queue_full')

function reason(reasons: Reasons, name: string): number {
  for (const counter of reasons.all()) if (counter.reason === name) return counter.value
  return 0
}

const collectorFamilies: readonly OwnFamily[] = [
  ...perSignal(
    'receiver',
    'accepted',
    noun => `Number of ${noun} that were answered with success.`,
    node => node.answered.accepted,
  ),
  ...perSignal(
    'receiver',
    'refused',
    noun => `Number of ${noun} that were turned away: not now, or for good.`,
    node => node.answered.refused + node.answered.rejected + node.refused.total,
  ),
  perProcessor('otelcol_processor_incoming_items', 'Number of items passed to the processor.', node => node.in),
  perProcessor('otelcol_processor_outgoing_items', 'Number of items the processor passed on.', node => node.out),
  ...perSignal(
    'exporter',
    'sent',
    noun => `Number of ${noun} that the destination has taken.`,
    node => node.delivered,
  ),
  ...perSignal(
    'exporter',
    'send_failed',
    noun => `Number of ${noun} that the destination did not take and that are not tried again.`,
    node => node.rejected.total + node.deadLettered.total + node.lost.total - reason(node.lost, 'queue_full'),
  ),
  ...perSignal(
    'exporter',
    'enqueue_failed',
    noun => `Number of ${noun} for which the queue had no room.`,
    turnedAwayByQueue,
  ),
  perQueue(
    'otelcol_exporter_queue_size',
    'Room taken in the queue, in the unit of its `sizer`.',
    q => q.queueSize,
    hasQueue,
  ),
  perQueue(
    'otelcol_exporter_queue_capacity',
    'Room of the queue, in the unit of its `sizer`.',
    q => q.queueCapacity,
    hasQueue,
  ),
  perQueue('otelcol_exporter_in_flight_requests', 'Batches that are being sent.', q => q.inFlight),
  total('otelcol_process_uptime', 'Seconds since the process started.', s => s.process().uptimeSeconds),
  total('otelcol_process_cpu_seconds', 'CPU time used, user and system.', s => s.process().cpuSeconds),
  one('otelcol_process_memory_rss', 'Resident memory in bytes.', s => s.process().rssBytes),
  one('otelcol_process_runtime_heap_alloc_bytes', 'JavaScript heap in use.', s => s.process().heapUsedBytes),
  one('otelcol_process_runtime_total_sys_memory_bytes', 'JavaScript heap and the buffers outside of it.', s => {
    const { heapTotalBytes, externalBytes } = s.process()
    return heapTotalBytes + externalBytes
  }),
]

const directions: readonly [name: string, value: (node: NodeBooks) => number][] = [
  ['in', node => node.in],
  ['created', node => node.created],
  ['recovered', node => node.recovered],
  ['out', node => node.out],
  ['delivered', node => node.delivered],
]
const directionsWithReason: readonly [name: string, reasons: (node: NodeBooks) => Reasons][] = [
  ['dropped', node => node.dropped],
  ['rejected', node => node.rejected],
  ['dead_lettered', node => node.deadLettered],
  ['lost', node => node.lost],
  ['returned', node => node.returned],
  ['refused', node => node.refused],
]
const nodeLabels = ['kind', 'component', 'pipeline', 'signal']

function labelsOf({ name }: NodeBooks): Record<string, string> {
  return { kind: name.kind, component: name.id, pipeline: name.pipeline, signal: name.signal }
}

function* itemsByDirection(sources: MetricSources): Iterable<Row> {
  for (const node of sources.books.nodes) {
    const labels = labelsOf(node)
    for (const [direction, value] of directions) {
      const count = value(node)
      if (count > 0 || direction === 'in') yield { labels: { ...labels, direction, reason: '' }, value: count }
    }
    for (const [direction, reasons] of directionsWithReason)
      for (const { reason, value } of reasons(node).all()) yield { labels: { ...labels, direction, reason }, value }
  }
}

function perNode(read: (node: NodeBooks) => number, kinds?: readonly string[]): OwnFamily['read'] {
  return sources =>
    sources.books.nodes
      .filter(node => kinds === undefined || kinds.includes(node.name.kind))
      .map(node => ({ labels: labelsOf(node), value: read(node) }))
}

const booksFamilies: readonly OwnFamily[] = [
  counter(
    'kymo_component_items_total',
    'Items (spans, log records, data points) by where they went: in, created, recovered, out, delivered, dropped (by a rule), rejected (for good), dead_lettered, lost (given up), returned (to the sender), refused (at the door, never in).',
    [...nodeLabels, 'direction', 'reason'],
    itemsByDirection,
  ),
  gauge(
    'kymo_component_items_held',
    'Items inside a component now.',
    nodeLabels,
    perNode(node => node.held()),
  ),
  counter(
    'kymo_edge_items_total',
    'Items handed from one component to the next.',
    ['from_kind', 'from', 'to_kind', 'to', 'pipeline', 'signal'],
    sources =>
      sources.books.edges.map(({ from, to, carried }) => ({
        labels: {
          from_kind: from.name.kind,
          from: from.name.id,
          to_kind: to.name.kind,
          to: to.name.id,
          pipeline: to.name.pipeline || from.name.pipeline,
          signal: from.name.signal,
        },
        value: carried,
      })),
  ),
  counter(
    'kymo_exporter_attempts_total',
    'Attempts to send a batch, retries included.',
    nodeLabels,
    perNode(node => node.attempts, ['exporter']),
  ),
  counter(
    'kymo_exporter_failed_attempts_total',
    'Attempts to send a batch that failed.',
    nodeLabels,
    perNode(node => node.failedAttempts, ['exporter']),
  ),
  counter(
    'kymo_items_maybe_twice_total',
    'Items that may have arrived although the attempt failed, so that they may arrive twice.',
    nodeLabels,
    perNode(node => node.maybeTwice, ['receiver', 'exporter']),
  ),
  one(
    'kymo_books_unbalanced',
    'Equations of the books that do not hold; anything but 0 is a fault of Kymo.',
    sources => sources.books.faults().length,
  ),
]

const states: readonly State[] = [
  'Starting',
  'OK',
  'RecoverableError',
  'PermanentError',
  'FatalError',
  'Stopping',
  'Stopped',
]

const processFamilies: readonly OwnFamily[] = [
  gauge(
    'kymo_component_state',
    'Components in a state; a component in several pipelines counts once for each.',
    ['kind', 'component', 'state'],
    sources =>
      sources
        .components()
        .flatMap(({ kind, id, status }) =>
          states.map(state => ({ labels: { kind, component: id, state }, value: status.state === state ? 1 : 0 })),
        ),
  ),
  one('kymo_memory_budget_limit_bytes', 'Memory that data in flight may take.', s => s.budget.limit),
  one('kymo_memory_budget_used_bytes', 'Memory that data in flight takes.', s => s.budget.used),
  one('kymo_memory_budget_peak_bytes', 'The most that data in flight ever took.', s => s.budget.peak),
  total('kymo_memory_refusals_total', 'Requests turned away for want of memory.', s => s.budget.refusals),
  one('kymo_memory_pressed', '1 while resident memory is over the limit and nothing new is taken.', s =>
    s.budget.pressed ? 1 : 0,
  ),
  one('kymo_memory_limit_bytes', 'Resident memory above which nothing new is taken.', s => s.memory.hard),
  one('kymo_memory_soft_limit_bytes', 'Resident memory below which taking goes on.', s => s.memory.soft),
  one(
    'kymo_event_loop_utilization',
    'Share of the time in which the event loop was busy since the last scrape, 0 to 1.',
    s => s.process().eventLoopUtilization,
  ),
  total('kymo_internal_faults_total', 'Faults of Kymo itself that were caught and logged.', s => s.faults()),
  gauge('kymo_build_info', 'Always 1; the labels say what runs.', ['version', 'node'], s => [
    { labels: { version: s.version, node: process.versions.node }, value: 1 },
  ]),
]

/** All of them, in the order of the page. */
export const ownFamilies: readonly OwnFamily[] = [...collectorFamilies, ...booksFamilies, ...processFamilies]
