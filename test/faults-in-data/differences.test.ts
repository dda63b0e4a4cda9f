/**
 * A1 and A20 of the faults of November 2026, at destinations that take one temporality only: what is counted at Datadog follows
 * OpenTelemetry's data model ("Resets and Gaps") whatever the times, and what remote write cannot take ends with a reason.
 */
import { expect, test } from 'vitest'
import { RemoteWriteEncoder } from '../../backends/remote-write/request.ts'
import { readRequest } from '../../proto/request.ts'
import { type Run } from '../exporters/datadog/datadog-runs.ts'
import { send, started } from '../exporters/datadog/metric-runs.ts'
import { metricsRequest } from '../support/prometheus-page.ts'
import { decodeRequest } from '../support/remote-write.ts'
import { plain } from '../support/remote-write-reference.ts'

/** Seconds of 2017, long before this process; 0 is a time that is not said. */
const second = (n: number): string => (n === 0 ? '0' : String(1_500_000_000_000_000_000n + BigInt(n) * 1_000_000_000n))

/** What a counter says at a time, and when it says that it began. */
type Said = readonly [start: number, time: number, value: number]

const cumulative = { aggregation_temporality: 2 }
const delta = { aggregation_temporality: 1 }
const times = ([start, time]: Said) => ({ start_time_unix_nano: second(start), time_unix_nano: second(time) })

/** A metric of each kind that says so. */
const kinds: Readonly<Record<string, (said: Said, temporality: object) => object>> = {
  counter: (said, temporality) => ({
    name: 'n',
    sum: { ...temporality, is_monotonic: true, data_points: [{ ...times(said), as_int: said[2] }] },
  }),
  histogram: (said, temporality) => ({
    name: 'n',
    histogram: {
      ...temporality,
      data_points: [
        { ...times(said), count: said[2], sum: said[2], bucket_counts: [0, said[2]], explicit_bounds: [1] },
      ],
    },
  }),
  'exponential histogram': (said, temporality) => ({
    name: 'n',
    exponential_histogram: {
      ...temporality,
      data_points: [
        {
          ...times(said),
          count: said[2],
          sum: said[2],
          scale: 0,
          positive: { offset: 0, bucket_counts: [said[2]] },
        },
      ],
    },
  }),
}
const summary = (said: Said): object => ({
  name: 'n',
  summary: { data_points: [{ ...times(said), count: said[2], sum: said[2] }] },
})

/** What was counted, request by request. */
const counted = ({ intake }: Run): number[] => [
  ...intake.series.filter(({ metric }) => metric !== 'n.sum').map(({ value }) => value),
  ...intake.sketches.map(({ count }) => count),
]

interface Row {
  readonly what: string
  readonly said: readonly Said[]
  /** What is counted, without nothings. */
  readonly counts: readonly number[]
  /** The same, where first values are kept and it differs. */
  readonly kept?: readonly number[]
  readonly outOfOrder?: number
}

const rows: readonly Row[] = [
  {
    what: 'has a gap',
    said: [
      [1, 10, 5],
      [1, 20, 7],
      [1, 500, 17],
    ],
    counts: [2, 10],
  },
  {
    what: 'says the same twice',
    said: [
      [1, 10, 5],
      [1, 20, 7],
      [1, 20, 7],
      [1, 30, 8],
    ],
    counts: [2, 1],
    outOfOrder: 1,
  },
  {
    what: 'has its points in another order',
    said: [
      [1, 10, 5],
      [1, 30, 9],
      [1, 20, 7],
      [1, 40, 10],
    ],
    counts: [4, 1],
    outOfOrder: 1,
  },
  {
    what: 'begins anew after its last point, and has less',
    said: [
      [1, 10, 5],
      [15, 20, 3],
      [15, 30, 4],
    ],
    counts: [3, 1],
  },
  {
    what: 'begins anew when its last point was, and has more',
    said: [
      [1, 10, 5],
      [10, 20, 9],
      [10, 30, 10],
    ],
    counts: [9, 1],
  },
  {
    what: 'begins anew with a point that tells only where it stands',
    said: [
      [1, 10, 5],
      [20, 20, 9],
      [20, 30, 10],
    ],
    counts: [1],
    kept: [9, 1],
  },
  {
    what: 'never says when it began',
    said: [
      [0, 10, 5],
      [0, 20, 7],
      [0, 30, 8],
    ],
    counts: [2, 1],
  },
  {
    what: 'says when it began only later',
    said: [
      [0, 10, 5],
      [0, 20, 7],
      [1, 30, 8],
    ],
    counts: [2, 1],
  },
  {
    what: 'forgets once to say when it began',
    said: [
      [1, 10, 5],
      [0, 20, 7],
      [1, 30, 8],
    ],
    counts: [2, 1],
  },
  {
    what: 'turns out to have begun earlier',
    said: [
      [5, 10, 5],
      [1, 20, 7],
      [1, 30, 8],
    ],
    counts: [2, 1],
  },
]

/** How the first value of a series is counted makes no difference to what comes after it. */
const initials: Readonly<Record<string, { readonly first: boolean; readonly config: object }>> = {
  auto: { first: false, config: {} },
  drop: { first: false, config: { sums: { initial_cumulative_monotonic_value: 'drop' } } },
  keep: { first: true, config: { sums: { initial_cumulative_monotonic_value: 'keep' } } },
}

const all: Readonly<Record<string, (said: Said) => object>> = {
  ...Object.fromEntries(Object.entries(kinds).map(([kind, of]) => [kind, (said: Said) => of(said, cumulative)])),
  summary,
}

test.each(
  Object.keys(all).flatMap(kind =>
    Object.keys(initials).flatMap(initial => rows.map(row => [kind, row.what, initial, row] as const)),
  ),
)('A1: at Datadog a %s that %s is counted by what came, with first values %s', async (kind, _, initial, row) => {
  const { first, config } = initials[initial]
  const one = await started(config)
  let outOfOrder = 0
  for (const said of row.said) outOfOrder += (await send(one, [all[kind](said)]))?.reasons?.['out_of_order'] ?? 0
  expect(counted(one).filter(n => n !== 0)).toEqual(first ? [row.said[0][2], ...(row.kept ?? row.counts)] : row.counts)
  expect(outOfOrder).toBe(row.outOfOrder ?? 0)
})

/** Deltas: the value is what came between the two times. */
const deltas: readonly Omit<Row, 'counts'>[] = [
  {
    what: 'overlap',
    said: [
      [1, 10, 2],
      [5, 12, 3],
      [11, 30, 4],
    ],
  },
  {
    what: 'come in another order',
    said: [
      [20, 30, 2],
      [1, 10, 3],
      [10, 20, 4],
    ],
  },
  {
    what: 'have gaps, and do not say when they began',
    said: [
      [0, 10, 2],
      [0, 50, 3],
      [0, 51, 4],
    ],
  },
]
const eachDelta = Object.keys(kinds).flatMap(kind => deltas.map(row => [kind, row.what, row] as const))

test.each(eachDelta)('A1: at Datadog deltas of a %s that %s are all counted', async (kind, _, { said }) => {
  const one = await started()
  for (const each of said) expect(await send(one, [kinds[kind](each, delta)])).toBeUndefined()
  expect(counted(one)).toEqual([2, 3, 4])
})

/** Sends in one batch, and gives times of samples and histograms, and what was left out. */
function written(version: 1 | 2, metrics: readonly object[], takesDeltas: boolean) {
  const encoder = new RemoteWriteEncoder({ ...plain, version, histograms: 'native', delta: takesDeltas })
  const seconds: (readonly [time: number, start: number])[] = []
  const leftOut = encoder.encode(readRequest('metrics', metricsRequest(metrics)).groups, ({ body }) => {
    for (const { samples, histograms } of decodeRequest(version, body).series) {
      for (const [, time, start] of samples) seconds.push([time, start])
      for (const { time, startTime } of histograms) seconds.push([time, startTime])
    }
  })
  return { seconds: seconds.map(pair => pair.map(time => (time === 0 ? 0 : time / 1000 - 1_500_000_000))), leftOut }
}

const versions = [1, 2] as const

test.each(versions.flatMap(version => eachDelta.map(row => [version, ...row] as const)))(
  'A1: remote write %i.0 rejects deltas of a %s that %s as such, or writes each as it is',
  (version, kind, _, { said }) => {
    const metrics = said.map(each => kinds[kind](each, delta))
    expect(written(version, metrics, false)).toEqual({ seconds: [], leftOut: { delta: 3 } })
    const { seconds, leftOut } = written(version, metrics, true)
    expect(leftOut).toEqual({})
    expect(seconds.map(([time]) => time)).toEqual(said.map(([, time]) => time).toSorted((a, b) => a - b))
  },
)

test.each(
  versions.flatMap(version =>
    Object.keys(kinds).flatMap(kind => rows.map(row => [version, kind, row.what, row] as const)),
  ),
)('A1: remote write %i.0 writes each point of a %s that %s, in the order of their times', (version, kind, _, row) => {
  const { seconds, leftOut } = written(
    version,
    row.said.map(said => kinds[kind](said, cumulative)),
    false,
  )
  expect(leftOut).toEqual({})
  const inOrder = row.said.toSorted(([, a], [, b]) => a - b)
  expect(seconds).toEqual(inOrder.map(([start, time]) => [time, version === 1 ? 0 : start]))
})
