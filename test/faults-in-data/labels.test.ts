/** A7 of the faults of November 2026: attributes that meet a label of Prometheus' own keep their series apart. */
import { expect, test } from 'vitest'
import { RemoteWriteEncoder, type RemoteWriteOptions } from '../../backends/remote-write/request.ts'
import { readRequest } from '../../proto/request.ts'
import { attributes, metricsRequest, TestPage } from '../support/prometheus-page.ts'
import { decodeRequest } from '../support/remote-write.ts'
import { plain } from '../support/remote-write-reference.ts'

type Labels = Readonly<Record<string, string>>

const resource = { 'service.name': 'svc', 'service.instance.id': 'i' }
const cumulative = { aggregation_temporality: 2 }

/** A metric of each kind, with a point for each of these lists of attributes. */
const kinds: Readonly<Record<string, (points: readonly Labels[]) => object>> = {
  gauge: points => ({ gauge: { data_points: points.map((one, i) => ({ ...at(one), as_int: i + 1 })) } }),
  counter: points => ({
    sum: { ...cumulative, is_monotonic: true, data_points: points.map((one, i) => ({ ...at(one), as_int: i + 1 })) },
  }),
  histogram: points => ({
    histogram: {
      ...cumulative,
      data_points: points.map(one => ({ ...at(one), count: 3, sum: 2, bucket_counts: [1, 2], explicit_bounds: [1] })),
    },
  }),
  'exponential histogram': points => ({
    exponential_histogram: {
      ...cumulative,
      data_points: points.map(one => ({
        ...at(one),
        count: 2,
        sum: 2,
        scale: 0,
        positive: { offset: 0, bucket_counts: [1, 1] },
      })),
    },
  }),
  summary: points => ({
    summary: {
      data_points: points.map(one => ({
        ...at(one),
        count: 3,
        sum: 2,
        quantile_values: [{ quantile: 0.5, value: 1 }],
      })),
    },
  }),
}
const at = (labels: Labels) => ({ attributes: attributes(labels), time_unix_nano: '1900000000000000000' })

/** The series that a page shows, with the names of their metrics. */
function shown(request: Buffer): Labels[] {
  const page = new TestPage()
  expect(page.take(request)).toBeUndefined()
  const lines = page.text().split('\n')
  return lines.flatMap(line => {
    const parts = /^(\w+)\{(.*)\} /.exec(line)
    if (parts === null) return []
    const labels = [...parts[2].matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value] as const)
    return [{ __name__: parts[1], ...Object.fromEntries(labels) }]
  })
}

/** The series that are sent. */
function written(request: Buffer, options: Partial<RemoteWriteOptions>): Labels[] {
  const encoder = new RemoteWriteEncoder({ ...plain, ...options })
  const series: Labels[] = []
  const leftOut = encoder.encode(readRequest('metrics', request).groups, ({ body }) => {
    for (const { labels } of decodeRequest(options.version ?? 1, body).series) series.push(Object.fromEntries(labels))
  })
  expect(leftOut).toEqual({})
  return series
}

const ways: Readonly<Record<string, (request: Buffer) => Labels[]>> = {
  'the page': shown,
  'remote write 1.0': request => written(request, { version: 1 }),
  'remote write 2.0': request => written(request, { version: 2 }),
  'remote write 1.0 of both forms of histograms': request => written(request, { version: 1, histograms: 'both' }),
  'remote write 2.0 of both forms of histograms': request => written(request, { version: 2, histograms: 'both' }),
}

/** Which labels an attribute may meet, by kind of metric. */
const meets = (kind: string): string[] => [
  'job',
  'instance',
  ...(kind.includes('histogram') ? ['le'] : kind === 'summary' ? ['quantile'] : []),
]

const rows = Object.keys(ways).flatMap(way =>
  Object.keys(kinds).flatMap(kind => meets(kind).map(label => [way, kind, label] as const)),
)

test.each(rows)(
  'A7: in %s two points of a %s that say `%s` themselves are two, in all their parts',
  (way, kind, label) => {
    const points = [{ [label]: 'a' }, { [label]: 'b' }]
    const series = ways[way](metricsRequest([{ name: 'm', ...kinds[kind](points) }], { resource }))
    const texts = series.map(one => JSON.stringify(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1))))
    expect(new Set(texts).size).toBe(texts.length)
    for (const own of ['a', 'b']) {
      const mine = series.filter(one => one[`exported_${label}`] === own)
      expect(mine.length).toBe(series.length / 2)
      expect(mine.length).toBeGreaterThan(0)
      for (const one of mine) expect(one).toMatchObject({ job: 'svc', instance: 'i' })
    }
  },
)

test.each(Object.keys(ways))('A7: in %s an attribute that is called exported already keeps its name', way => {
  const point = { job: 'a', exported_job: 'b' }
  const [series] = ways[way](metricsRequest([{ name: 'm', ...kinds['gauge']([point]) }], { resource }))
  expect(series).toEqual({
    __name__: 'm',
    instance: 'i',
    job: 'svc',
    exported_job: 'b',
    exported_exported_job: 'a',
  })
})

test.each(Object.keys(ways))('A7: in %s a label that nobody else gives stays as it is called', way => {
  const point = { job: 'a', le: '1', quantile: '2' }
  const [series] = ways[way](metricsRequest([{ name: 'm', ...kinds['gauge']([point]) }]))
  expect(series).toEqual({ __name__: 'm', ...point })
})
