/** What a metric of Kymo itself is made of: where it is read, and how its kinds are declared. */
import type { Books } from '../core/books.ts'
import type { Budget } from '../core/budget.ts'
import type { Kind } from '../core/component.ts'
import type { State } from '../core/status.ts'
import type { DurableQueue, Storage } from '../core/storage.ts'
import type { Signal } from '../proto/signals.ts'
import type { AddsUp, MetricFamily } from './metrics.ts'

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
  /** Longest time in which the event loop came to nothing else, since the last scrape. */
  readonly eventLoopBlockMilliseconds: number
}

/** The queue of one exporter and signal. */
export interface QueueFigures {
  readonly id: string
  readonly signal: Signal
  readonly queueSize: number
  readonly queueCapacity: number
  readonly inFlight: number
  /** When it last took something, in milliseconds since the epoch; 0 or undefined before. */
  readonly lastSuccess?: number
  /** When the oldest batch it holds came in, in milliseconds since the epoch. */
  readonly oldest?: number | undefined
  /** Milliseconds until the first it holds is given up for its age; undefined where nothing is. */
  readonly expiresIn?: number | undefined
  /** Milliseconds for which its destination has asked to be left alone yet. */
  readonly askedFor?: number
  /** What finds no room in it waits on disk only: it is never full. */
  readonly spills?: boolean
  /** Milliseconds until something that waits is tried by itself; undefined where nothing waits. */
  readonly nextAttempt?: number | undefined
  /** How long attempts that succeeded took, in milliseconds. */
  readonly latency?: { quantile(q: number): number | undefined }
}

/** What became of attempts to take over another configuration. */
export interface ConfigFigures {
  readonly reloads: Readonly<Record<string, number>>
  /** Whether the last attempt worked. */
  readonly lastWorked: boolean
  /** When one last did, in milliseconds since the epoch; at first the start. */
  readonly lastSuccess: number
  /** Of what runs, without secrets. */
  readonly hash: string
}

/** What a storage of queues says of itself. */
export interface StorageFigures extends Pick<Storage, 'roomOnDisk' | 'trouble' | 'list'> {
  readonly deadLetters: Pick<DurableQueue, 'backlog' | 'totals'> | undefined
}

/** What the metrics are read from. */
export interface MetricSources {
  readonly books: Books
  readonly budget: Budget
  readonly memory: { readonly hard: number; readonly soft: number }
  readonly journal: { readonly begun: number; readonly kept: number; readonly unwritten: number }
  /** Own telemetry that nobody took in time. */
  readonly untold: Readonly<Record<Signal, number>>
  /** Accepted connections that are open. */
  connections(): number
  readonly version: string
  process(): ProcessFigures
  exporters(): readonly QueueFigures[]
  components(): readonly { kind: Kind; id: string; status: { state: State } }[]
  /** Storages of queues that run, by the id of their extension. */
  storages?(): readonly { readonly id: string; readonly storage: StorageFigures }[]
  /** Faults of Kymo itself that were caught. */
  faults(): number
  /** The configuration that runs, and how taking over another one went; undefined where that cannot be done. */
  readonly config?: ConfigFigures | undefined
}

/** A metric of Kymo itself. */
export type OwnFamily = MetricFamily<MetricSources>

/** A count that only grows; several processes count more than one. */
export const counter = (name: string, help: string, labels: readonly string[], read: OwnFamily['read']): OwnFamily => ({
  name,
  type: 'counter',
  help,
  adds: 'sum',
  labels,
  read,
})
/** A value that goes up and down. */
export const gauge = (
  name: string,
  help: string,
  adds: AddsUp,
  labels: readonly string[],
  read: OwnFamily['read'],
): OwnFamily => ({ name, type: 'gauge', help, adds, labels, read })
/** A gauge without labels. */
export const one = (name: string, help: string, adds: AddsUp, value: (sources: MetricSources) => number): OwnFamily =>
  gauge(name, help, adds, [], sources => [{ labels: {}, value: value(sources) }])
/** A counter without labels. */
export const total = (name: string, help: string, value: (sources: MetricSources) => number): OwnFamily =>
  counter(name, help, [], sources => [{ labels: {}, value: value(sources) }])

/** A gauge that is not only whole numbers. */
export const fractional = (
  name: string,
  help: string,
  adds: AddsUp,
  labels: readonly string[],
  read: OwnFamily['read'],
): OwnFamily => ({
  ...gauge(name, help, adds, labels, read),
  fractional: true,
})
/** A counter of seconds, without labels. */
export const seconds = (name: string, help: string, value: (sources: MetricSources) => number): OwnFamily => ({
  ...total(name, help, value),
  fractional: true,
})
