/** What protobufjs makes of a request: whether it can be read, and how many items it has. */
import protobuf from 'protobufjs'
import { type Signal, signals } from '../../proto/signals.ts'
import { protoFile } from '../support/otlp.ts'

const { root } = protobuf.parse(protoFile, { keepCase: true })

/** The type that reads a message. */
export const typeOf = (message: string): protobuf.Type => root.lookupType(message)

interface Metric {
  readonly [kind: string]: { readonly data_points?: readonly unknown[] } | undefined
}
interface Scope {
  readonly spans?: readonly unknown[]
  readonly log_records?: readonly unknown[]
  readonly metrics?: readonly Metric[]
}
interface Top {
  readonly [list: string]: readonly { readonly [list: string]: readonly Scope[] | undefined }[] | undefined
}

const lists = {
  traces: ['resource_spans', 'scope_spans'],
  metrics: ['resource_metrics', 'scope_metrics'],
  logs: ['resource_logs', 'scope_logs'],
} as const
const kinds = ['gauge', 'sum', 'histogram', 'exponential_histogram', 'summary'] as const

/** What the oracle says of a request. */
export interface Verdict {
  /** Why it cannot be read. */
  readonly error: string | undefined
  /** -1 where it cannot be told: a metric with data of several kinds, of which the last on the wire counts. */
  readonly items: number
}

/** Asks the oracle. */
export function judge(signal: Signal, body: Uint8Array): Verdict {
  let top: Top
  try {
    top = typeOf(signals[signal].request).decode(body)
  } catch (error) {
    return { error: String(error), items: -1 }
  }
  const [groups, scopes] = lists[signal]
  let items = 0
  for (const group of top[groups] ?? []) {
    for (const scope of group[scopes] ?? []) {
      if (signal === 'traces') items += scope.spans?.length ?? 0
      else if (signal === 'logs') items += scope.log_records?.length ?? 0
      else {
        for (const metric of scope.metrics ?? []) {
          const points = pointsOf(metric)
          if (points < 0) return { error: undefined, items: -1 }
          items += points
        }
      }
    }
  }
  return { error: undefined, items }
}

function pointsOf(metric: Metric): number {
  const data = kinds.flatMap(kind => (Object.hasOwn(metric, kind) && metric[kind] ? [metric[kind]] : []))
  if (data.length > 1) return -1
  return data[0]?.data_points?.length ?? 0
}
