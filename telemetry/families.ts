/**
 * Every metric that Kymo has of itself: the Collector's `otelcol_*` names, so that dashboards go on working, and the
 * books under `kymo_*`, which say of every item where it went and why. docs/metrics.md is made from this table.
 */
import type { AnswerTally, NodeBooks, Reasons } from '../core/books.ts'
import type { State } from '../core/status.ts'
import { allSignals, signals } from '../proto/signals.ts'
import { doorFamilies } from './door-families.ts'
import {
  counter,
  fractional,
  gauge,
  type MetricSources,
  one,
  type OwnFamily,
  type QueueFigures,
  seconds,
} from './family.ts'
import type { AddsUp, Row } from './metrics.ts'
import { processFamilies } from './process-families.ts'
import { queueFamilies } from './queue-families.ts'
import { stateFamilies } from './state-families.ts'

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

/** Receivers know how what they took in came. */
function perTransport(
  name: string,
  help: (noun: string) => string,
  value: (answers: AnswerTally) => number,
  more: (node: NodeBooks) => number = () => 0,
): OwnFamily[] {
  const rows = function* ({ name: { id }, answers }: NodeBooks, extra: number): Iterable<Row> {
    for (const one of answers) yield { labels: { receiver: id, transport: one.transport }, value: value(one) }
    if (extra > 0) yield { labels: { receiver: id, transport: '' }, value: extra }
  }
  return allSignals.map(signal =>
    counter(
      `otelcol_receiver_${name}_${signals[signal].metricNoun}`,
      help(signals[signal].noun),
      ['receiver', 'transport'],
      ({ books }) =>
        books.nodes
          .filter(({ name }) => name.kind === 'receiver' && name.signal === signal)
          .flatMap(node => [...rows(node, more(node))]),
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
  adds: AddsUp,
  value: (queue: QueueFigures) => number,
  having: (queue: QueueFigures) => boolean = () => true,
): OwnFamily {
  return gauge(name, help, adds, ['exporter', 'data_type'], sources =>
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
  ...perTransport(
    'accepted',
    noun => `Number of ${noun} that were answered with success.`,
    answers => answers.accepted,
  ),
  ...perTransport(
    'refused',
    noun => `Number of ${noun} that were turned away: not now, or for good.`,
    answers => answers.refused + answers.rejected,
    node => node.refused.total,
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
    'sum',
    q => q.queueSize,
    hasQueue,
  ),
  perQueue(
    'otelcol_exporter_queue_capacity',
    'Room of the queue, in the unit of its `sizer`.',
    'sum',
    q => q.queueCapacity,
    hasQueue,
  ),
  perQueue('otelcol_exporter_in_flight_requests', 'Batches that are being sent.', 'sum', q => q.inFlight),
  {
    ...seconds('otelcol_process_uptime', 'Seconds since the process started.', s => s.process().uptimeSeconds),
    adds: 'max',
  },
  seconds('otelcol_process_cpu_seconds', 'CPU time used, user and system.', s => s.process().cpuSeconds),
  one('otelcol_process_memory_rss', 'Resident memory in bytes.', 'sum', s => s.process().rssBytes),
  one('otelcol_process_runtime_heap_alloc_bytes', 'JavaScript heap in use.', 'sum', s => s.process().heapUsedBytes),
  one('otelcol_process_runtime_total_sys_memory_bytes', 'JavaScript heap and the buffers outside of it.', 'sum', s => {
    const { heapTotalBytes, externalBytes } = s.process()
    return heapTotalBytes + externalBytes
  }),
]

const directions: readonly [name: string, value: (node: NodeBooks) => number][] = [
  ['in', node => node.in],
  ['created', node => node.created],
  ['recovered', node => node.recovered],
  ['out', node => node.out],
  ['consumed', node => node.consumed],
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
    'Items (spans, log records, data points) by where they went: in, created, recovered, out, consumed (other data was made of them), delivered, dropped (by a rule), rejected (for good), dead_lettered, lost (given up), returned (to the sender), refused (at the door, never in).',
    [...nodeLabels, 'direction', 'reason'],
    itemsByDirection,
  ),
  gauge(
    'kymo_component_items_held',
    'Items inside a component now.',
    'sum',
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
  counter(
    'kymo_exporter_mended_items_total',
    'Items sent again with text mended (U+FFFD) that was no UTF-8, as the destination rejected them.',
    nodeLabels,
    perNode(node => node.mended, ['exporter']),
  ),
  one(
    'kymo_books_unbalanced',
    'Equations of the books that do not hold; anything but 0 is a fault of Kymo.',
    'sum',
    sources => sources.books.faults().length,
  ),
]

const quantiles = [0.5, 0.9, 0.99]

const exporterFamilies: readonly OwnFamily[] = [
  fractional(
    'kymo_exporter_latency_ms',
    'How long attempts that succeeded took, over the last one to two minutes, in milliseconds.',
    'each',
    ['exporter', 'data_type', 'quantile'],
    function* (sources) {
      for (const { id, signal, latency } of sources.exporters()) {
        for (const quantile of quantiles) {
          const value = latency?.quantile(quantile)
          const labels = { exporter: id, data_type: signal, quantile: String(quantile) }
          if (value !== undefined) yield { labels, value }
        }
      }
    },
  ),
  fractional(
    'kymo_exporter_queue_oldest_seconds',
    'Age of the oldest batch that waits or is being sent; 0 without any.',
    'max',
    ['exporter', 'data_type'],
    sources => {
      const now = Date.now()
      return sources.exporters().map(({ id, signal, oldest = now }) => ({
        labels: { exporter: id, data_type: signal },
        value: Math.max(0, now - oldest) / 1000,
      }))
    },
  ),
  gauge(
    'kymo_exporter_last_success_seconds',
    'When the destination last took something, in seconds since the epoch.',
    'max',
    ['exporter', 'data_type'],
    function* (sources) {
      for (const { id, signal, lastSuccess = 0 } of sources.exporters()) {
        if (lastSuccess > 0)
          yield { labels: { exporter: id, data_type: signal }, value: Math.floor(lastSuccess / 1000) }
      }
    },
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

const componentFamilies: readonly OwnFamily[] = [
  gauge(
    'kymo_component_state',
    'Components in a state; a component in several pipelines counts once for each.',
    'sum',
    ['kind', 'component', 'state'],
    sources =>
      sources
        .components()
        .flatMap(({ kind, id, status }) =>
          states.map(state => ({ labels: { kind, component: id, state }, value: status.state === state ? 1 : 0 })),
        ),
  ),
]

/** All of them, in the order of the page. */
export const ownFamilies: readonly OwnFamily[] = [
  ...collectorFamilies,
  ...booksFamilies,
  ...exporterFamilies,
  ...queueFamilies,
  ...stateFamilies,
  ...componentFamilies,
  ...doorFamilies,
  ...processFamilies,
]
