/** APM stats read back from what is made of spans. */
import { SpanStats, type StatsRules } from '../../backends/datadog/stats-spans.ts'
import { readRequest } from '../../proto/request.ts'
import { decodeDatadog } from './datadog-proto.ts'

/** Counts of spans that are alike, with what a payload has once for many of them. */
export interface Found {
  hostname: string
  env: string
  version: string
  containerID: string
  tags: string[]
  start: string
  duration: string
  service: string
  name: string
  resource: string
  type: string
  HTTP_status_code: number
  GRPC_status_code: string
  span_kind: string
  is_trace_root: number
  synthetics: boolean
  peer_tags: string[]
  hits: string
  errors: string
  topLevelHits: string
  /** Of all durations. */
  total: string
  okSummary: Buffer
  errorSummary: Buffer
}

interface Payload {
  splitPayload: boolean
  stats: (Pick<Found, 'hostname' | 'env' | 'version' | 'containerID' | 'tags'> & {
    stats: { start: string; duration: string; stats: (Omit<Found, 'total'> & { duration: string })[] }[]
  })[]
}

/** What is in payloads. */
export function foundIn(payloads: readonly Uint8Array[]): Found[] {
  return payloads.flatMap(bytes =>
    (decodeDatadog('StatsPayload', bytes) as Payload).stats.flatMap(
      ({ stats, hostname, env, version, containerID, tags }) =>
        stats.flatMap(({ start, duration, stats }) =>
          stats.map(group => ({
            ...group,
            total: group.duration,
            hostname,
            env,
            version,
            containerID,
            tags,
            start,
            duration,
          })),
        ),
    ),
  )
}

/** Rules with nothing set, as the connector has them. */
export const usualStats: StatsRules = {
  names: undefined,
  topLevelByKind: false,
  ignored: [],
  byKind: true,
  peerTags: [],
  interval: 10_000,
  mostGroups: 20_000,
  containerTags: new Set(),
}

/** The time that spans of tests are of. */
export const moment = 1_700_000_000_000

/** Stats of one request, all of them. */
export function statsOf(body: Buffer, rules: Partial<StatsRules> = {}): Found[] {
  const stats = new SpanStats({ ...usualStats, ...rules }, moment)
  stats.add(readRequest('traces', body).groups, moment)
  return foundIn(stats.flush(moment, true))
}
