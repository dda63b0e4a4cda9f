import { expect, test } from 'vitest'
import { pageFormat, takesGzip } from '../../../backends/prometheus/text-format.ts'

const all = { openMetrics: true, protobuf: true }
const only = { openMetrics: false, protobuf: false }
const plain = 'text/plain; version=0.0.4; charset=utf-8'
const protobuf = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited'
const prometheus3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,' +
  'text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'

test.each<[string, string | undefined, typeof all, string]>([
  ['nobody says anything', undefined, all, plain],
  ['a browser', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', all, plain],
  ['what is not offered', 'application/json', all, plain],
  ['anything', '*/*', all, plain],
  ['any text', 'text/*', all, plain],
  ['plain text', 'text/plain', all, plain],
  ['an unknown version', 'text/plain;version=7', all, plain],
  [
    'Prometheus 3',
    prometheus3,
    all,
    'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8',
  ],
  [
    'Prometheus 3 without OpenMetrics',
    prometheus3,
    only,
    'text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8',
  ],
  [
    'Prometheus 3 with native histograms',
    `${protobuf};escaping=allow-utf-8;q=0.7,${prometheus3}`,
    all,
    'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8',
  ],
  [
    'Prometheus 2',
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    all,
    'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores',
  ],
  [
    'an older OpenMetrics',
    'application/openmetrics-text;version=0.0.1',
    all,
    'application/openmetrics-text; version=0.0.1; charset=utf-8',
  ],
  ['an OpenMetrics to come', 'application/openmetrics-text;version=2.0.0,text/plain;q=0.1', all, plain],
  ['protobuf of something else', 'application/vnd.google.protobuf;proto=x;encoding=delimited', all, plain],
  ['the weight counts, not the place', 'text/plain;version=1.0.0;q=0.1, text/plain;version=0.0.4', all, plain],
  ['a weight of nothing', 'application/openmetrics-text;version=1.0.0;q=0, text/plain;q=0.1', all, plain],
  [
    'spaces and capitals',
    ' Text/Plain ; Version=1.0.0 ; escaping="dots"',
    all,
    'text/plain; version=1.0.0; charset=utf-8; escaping=dots',
  ],
  [
    'an unknown way to escape',
    'text/plain;version=1.0.0;escaping=x',
    all,
    'text/plain; version=1.0.0; charset=utf-8; escaping=underscores',
  ],
])('%s', (_row, accept, offered, expected) => {
  expect(pageFormat(accept, offered).contentType).toBe(expected)
})

test.each([
  [undefined, false],
  ['', false],
  ['gzip', true],
  ['deflate, GZIP;q=0.5', true],
  ['gzip;q=0', false],
  ['*', true],
  ['*;q=0', false],
  ['identity', false],
  ['gzip;q=0, *', false],
])('with Accept-Encoding %j gzip is taken: %s', (header, expected) => {
  expect(takesGzip(header)).toBe(expected)
})
