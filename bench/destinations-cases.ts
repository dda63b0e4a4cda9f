/** What the benchmark of destinations measures: exporters, their configurations, and what is asked of them. */
import { join } from 'node:path'
import { type Load, logsLoad, metricsLoad } from './destinations-load.ts'
import { type Kit, root } from './kit.ts'

/** One exporter under one load. */
export interface DestinationCase {
  readonly name: string
  /** What it is called in the table. */
  readonly text: string
  /** Its configuration, for Kymo and, where it has the exporter, the Collector. */
  readonly config: string
  readonly load: (kit: Kit) => Load
  /** The kind of sink that it sends to; without one its page is read. */
  readonly sink?: 'remote_write' | 'loki' | 'datadog'
  /** What is asked: so many times the Collector's items per CPU second, or so many items per CPU second. */
  readonly target: { readonly ratio: number } | { readonly items: number }
  readonly env?: Readonly<Record<string, string>>
}

const config = (name: string) => join(root, `bench/${name}-destinations.yaml`)

/** All of them. */
export const destinationCases: readonly DestinationCase[] = [
  {
    name: 'prometheus',
    text: '`prometheus`, page read every 5 s',
    config: config('prometheus'),
    load: metricsLoad,
    target: { ratio: 1.5 },
  },
  {
    name: 'prometheus_remote_write',
    text: '`prometheus_remote_write` 1.0',
    config: config('remote-write'),
    load: metricsLoad,
    sink: 'remote_write',
    target: { ratio: 1.5 },
  },
  {
    name: 'loki',
    text: '`loki`, push in protobuf and snappy',
    config: config('loki'),
    load: logsLoad,
    sink: 'loki',
    target: { items: 300_000 },
  },
  ...(['none', 'zstd', 'gzip'] as const).map(compression => ({
    name: `datadog-${compression}`,
    text: `\`datadog\` logs, compression \`${compression}\``,
    config: config('datadog'),
    load: logsLoad,
    sink: 'datadog' as const,
    target: { items: 300_000 },
    env: { COMPRESSION: compression },
  })),
]
